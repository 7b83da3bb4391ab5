"""Lists and bulk changes take the same filter, and whatever is not understood is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson
import pytest

from api.app import create_app
from api.listing.listing import JobQuery, Page
from api.listing.schemas import read_bulk
from sluice.core.errors import Flaw, Invalid, Malformed
from sluice.core.listing import Filter
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

PRINT = "0123456789abcdef"
WHEN = "2026-01-02T03:04:05Z"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD: list[tuple[list[tuple[str, Any]], Filter]] = [
    ([], Filter()),
    ([("state", "queued")], Filter(("queued",))),
    ([("kind", "demo.sum"), ("tag", "a b")], Filter(kind="demo.sum", tag="a b")),
    ([("created_after", WHEN), ("created_before", WHEN)], Filter(created_after=AT, created_before=AT)),
    ([("created_after", "2026-01-02T04:04:05.000000+01:00")], Filter(created_after=AT)),
    ([("created_after", "2026-01-02 03:04:05z")], Filter(created_after=AT)),
    ([("error", PRINT)], Filter(("failed",), error=PRINT)),
    ([("error", PRINT), ("state", "failed")], Filter(("failed",), error=PRINT)),
]
BAD: list[tuple[str, Any]] = [
    ("state", "done"),
    ("state", "QUEUED"),
    ("state", ""),
    ("kind", ""),
    ("kind", "Demo.Sum"),
    ("kind", "a\x00"),
    ("kind", "a\n"),
    ("kind", "k" * 65),
    ("tag", ""),
    ("tag", "a\x1fb"),
    ("tag", "t" * 130),
    ("created_after", "2026-01-02T03:04:05"),
    ("created_after", "2026-01-02"),
    ("created_after", "1700000000"),
    ("created_after", "2026-13-02T03:04:05Z"),
    ("created_after", "2026-01-02T03:04:05 01:00"),
    ("created_after", "0001-01-01T00:00:00+14:00"),
    ("created_before", "9999-12-31T23:59:59-14:00"),
    ("created_before", "now"),
    ("error", ""),
    ("error", PRINT.upper()),
    ("error", PRINT[:-1]),
    ("error", PRINT + "\n"),
    ("nothing", "x"),
]


class ListRoute:
    """Asks the route of the list, and sees what it asks of the listing."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.asked: list[tuple[Filter, int, str | None]] = []

    async def page(self, query: JobQuery, size: int, token: str | None) -> Page:
        self.asked.append((query.wanted, size, token))
        return Page([], None)

    async def read(self, *parameters: tuple[str, Any]) -> tuple[Filter, int, str | None]:
        """What is made of this query."""
        answer = await self.client.get("/v1/jobs", params=parameters)
        assert answer.status_code == 200, answer.text
        return self.asked.pop()

    async def refuse(self, *parameters: tuple[str, Any]) -> Flaw:
        """The one thing wrong with this query."""
        answer = await self.client.get("/v1/jobs", params=parameters)
        assert (answer.status_code, answer.json()["type"], self.asked) == (422, "invalid", [])
        (flaw,) = answer.json()["errors"]
        return Flaw(**flaw)


@pytest.fixture
async def route(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ListRoute]:
    record = Record()
    state = build_state(record, settings(), Clock())
    transport = httpx2.ASGITransport(create_app(state))
    headers = {"authorization": f"Bearer {record.add_key('acme', 'read')}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice", headers=headers) as client:
        route = ListRoute(client)
        monkeypatch.setattr(state.listing, "page", route.page)
        yield route


def flaw_of(caught: pytest.ExceptionInfo[Invalid]) -> Flaw:
    """The one thing wrong."""
    (flaw,) = caught.value.flaws
    return flaw


@pytest.mark.parametrize(("given", "wanted"), GOOD)
async def test_a_filter_is_read_alike_from_a_query_and_from_a_body(
    route: ListRoute, given: list[tuple[str, Any]], wanted: Filter
) -> None:
    assert await route.read(*given) == (wanted, 50, None)
    assert read_bulk(orjson.dumps({"filter": dict(given)})).filter.wanted == wanted


@pytest.mark.parametrize(("name", "value"), BAD)
async def test_a_filter_that_is_not_understood_is_refused_wherever_it_comes(
    route: ListRoute, name: str, value: str
) -> None:
    assert (await route.refuse((name, value))).pointer.startswith(f"?{name}")
    with pytest.raises(Invalid) as caught:
        read_bulk(orjson.dumps({"filter": {name: value}}))
    assert flaw_of(caught).pointer.startswith(f"/filter/{name}") or "\x00" in value


async def test_states_may_be_several(route: ListRoute) -> None:
    states = ("failed", "queued")
    wanted, _, _ = await route.read(("state", "queued"), ("state", "failed"), ("state", "queued"))
    assert wanted.states == states
    assert read_bulk(b'{"filter":{"state":["queued","failed","queued"]}}').filter.wanted.states == states


@pytest.mark.parametrize("name", ["kind", "tag", "error", "page_size", "page_token", "created_after"])
async def test_what_may_come_once_is_refused_twice(route: ListRoute, name: str) -> None:
    flaw = await route.refuse((name, "1"), (name, "1"))
    assert flaw == Flaw(f"?{name}", "repeated", "Send this parameter once.")


@pytest.mark.parametrize(
    "size", ["0", "-1", "1e9", "1001", "1000000000", "", " 5", "+5", "5.0", "\u0665", "0x5", "1_0", "05"]
)
async def test_a_page_size_is_a_plain_number_within_bounds(route: ListRoute, size: str) -> None:
    flaw = await route.refuse(("page_size", size))
    assert flaw == Flaw("?page_size", "out-of-bounds", "page_size is a whole number from 1 to 1000")


async def test_size_and_token_are_taken_with_the_filter(route: ListRoute) -> None:
    for size in (1, 1_000):
        asked = await route.read(("page_size", str(size)), ("page_token", "x"), ("timing", "1"))
        assert asked == (Filter(), size, "x")


@pytest.mark.parametrize("name", ["limit", "cursor", "offset", "State", "x" * 500, ""])
async def test_an_unknown_parameter_is_refused(route: ListRoute, name: str) -> None:
    flaw = await route.refuse(("state", "queued"), (name, "1"))
    assert flaw.code == "unknown-parameter"
    assert len(flaw.pointer) <= 65


async def test_an_error_and_a_state_that_has_none_contradict_each_other(route: ListRoute) -> None:
    flaw = await route.refuse(("error", PRINT), ("state", "queued"))
    assert (flaw.pointer, flaw.code) == ("?error", "contradiction")
    with pytest.raises(Invalid):
        _ = read_bulk(orjson.dumps({"filter": {"error": PRINT, "state": "queued"}})).filter.wanted


def test_a_bulk_change_is_a_dry_run_unless_it_says_otherwise() -> None:
    asked = read_bulk(b'{"filter":{}}')
    assert (asked.dry_run, asked.limit, asked.page_token) == (True, 1_000, None)
    asked = read_bulk(b'{"filter":{"kind":null},"dry_run":false,"limit":1,"page_token":"x"}')
    assert (asked.dry_run, asked.limit, asked.page_token, asked.filter.wanted) == (False, 1, "x", Filter())


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"filter":null}',
        b'{"filter":[]}',
        b'{"filter":{},"dry_run":"false"}',
        b'{"filter":{},"dry_run":0}',
        b'{"filter":{},"limit":0}',
        b'{"filter":{},"limit":-1}',
        b'{"filter":{},"limit":1001}',
        b'{"filter":{},"limit":1e9}',
        b'{"filter":{},"limit":"5"}',
        b'{"filter":{},"force":true}',
        b'{"filter":{"state":[]}}',
        b'{"filter":{"state":[["queued"]]}}',
        b'{"filter":{"created_after":1700000000}}',
        b'{"filter":{"kind":1}}',
        b'{"filter":{"retry_of":"x"}}',
    ],
)
def test_a_bulk_change_that_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_bulk(body)


def test_a_body_passes_the_one_strict_check() -> None:
    with pytest.raises(Malformed):
        read_bulk(b'{"filter":{},"filter":{"kind":"a"}}')
