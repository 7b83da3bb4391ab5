"""The body of a submit: what is read from it, and that one which was answered with a result is not parsed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import time
from typing import Any

import orjson
import pytest

from api.jobs import submit_body
from api.jobs.make_job import DEFAULTS, SubmitRequest
from api.jobs.result_reuse import MOST
from api.jobs.submit_body import read_bare, read_submit
from api.jobs.submit_result import SubmitResult
from sluice.core.errors import Invalid, Malformed
from sluice.core.job import TAG_SEPARATOR
from sluice.core.runtime.telemetry import Event
from tests.unit.api.jobs.submit_setup import SubmitSetup, flaws


def body(**fields: Any) -> bytes:
    return orjson.dumps({"kind": "demo.sum", "input": {}} | fields)


def test_a_body_is_read_into_what_it_asks_for() -> None:
    assert read_submit(body()) == SubmitRequest("demo.sum", {}, DEFAULTS, "/input")
    assert read_submit(body(options={"priority": "high"})).options.priority == "high"
    assert read_bare("demo.sum", b"[1]") == SubmitRequest("demo.sum", [1], DEFAULTS, "")


@pytest.mark.parametrize(
    ("raw", "pointer", "code"),
    [
        (b"[]", "", "object"),
        (b'"text"', "", "object"),
        (b"null", "", "object"),
        (b"{}", "/kind", "missing"),
        (b'{"kind":"demo.sum"}', "/input", "missing"),
        (b'{"kind":7,"input":{}}', "/kind", "string"),
        (body(later=1, also=2), "/also", "unknown-field"),
        (body(**{"x" * 300: 1}), "/" + "x" * 64, "unknown-field"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_a_pointer(raw: bytes, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as error:
        read_submit(raw)
    assert flaws(error) == [(pointer, code)]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        (None, "/options"),
        ({"nonsense": 1}, "/options/nonsense"),
        ({"priority": "urgent"}, "/options/priority"),
        ({"timeout_s": -1}, "/options/timeout_s"),
        ({"max_attempts": 1.5}, "/options/max_attempts"),
        ({"delay_s": 1, "run_at": "2030-01-01T00:00:00Z"}, "/options"),
        ({"run_at": 1_900_000_000}, "/options/run_at"),
        ({"run_at": "2030-01-01T00:00:00"}, "/options/run_at"),
        ({"tags": ["x"] * 11}, "/options/tags"),
        ({"tags": ["fine", "x" * 65]}, "/options/tags/1"),
        ({"tags": [f"a{TAG_SEPARATOR}b"]}, "/options/tags/0"),
    ],
)
def test_a_wrong_option_is_refused_with_a_pointer(options: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as error:
        read_submit(body(options=options))
    assert [each for each, _ in flaws(error)] == [pointer]


@pytest.mark.parametrize("read", [read_submit, lambda raw: read_bare("demo.sum", raw)])
def test_what_is_not_json_is_malformed_in_both_forms(read: Any) -> None:
    for raw in (b"", b"{", b'{"a":1,"a":2}', b"NaN"):
        with pytest.raises(Malformed):
            read(raw)


PURE = orjson.dumps({"kind": "demo.pure", "input": {"values": [1, 2]}})


class ParseCounter(SubmitSetup):
    """Counts the bodies that are parsed. Jobs end at the time it is now, by which their age is known."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(most=most)
        self.record.now = self.record.now.fromtimestamp(time(), self.record.now.tzinfo)
        self.parsed = 0

    async def body(self, raw: bytes = PURE, tenant: str = "acme") -> SubmitResult:
        """Submit these bytes."""
        return await submit_body.submit_body(self.submission, tenant, raw, None)

    async def reused(self, raw: bytes = PURE) -> SubmitResult:
        """Submit, let it succeed, and submit again, so that these bytes are known."""
        first = await self.body(raw)
        self.record.succeed(first.document.id)
        answer = await self.body(raw)
        assert answer.reused
        return answer


@pytest.fixture
async def counter(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ParseCounter]:
    counter, read = ParseCounter(), submit_body.read_submit

    def count(raw: bytes, scopes: frozenset[str]) -> SubmitRequest:
        counter.parsed += 1
        return read(raw, scopes)

    monkeypatch.setattr(submit_body, "read_submit", count)
    yield counter
    await asyncio.wait_for(counter.submission.drain(), 5)


async def test_a_body_that_was_answered_with_a_result_is_answered_again_unread(counter: ParseCounter) -> None:
    known = await counter.reused()
    asked = counter.store.calls["find_same"]
    for _ in range(3):
        again = await counter.body()
        assert (again.document, again.reused) == (known.document, True)
        assert 0 <= again.age_s <= 60 - again.ttl_s <= 60
    assert (counter.parsed, counter.events.count(Event.REUSED)) == (2, 4)
    assert counter.store.calls["find_same"] == asked


@pytest.mark.parametrize("raw", [PURE + b" ", PURE.replace(b"[1,2]", b"[1,3]")])
async def test_other_bytes_are_read(counter: ParseCounter, raw: bytes) -> None:
    await counter.reused()
    await counter.body(raw)
    assert counter.parsed == 3


async def test_the_same_bytes_of_another_tenant_ask_for_other_work(counter: ParseCounter) -> None:
    known = await counter.reused()
    other = await counter.body(tenant="other")
    assert (other.reused, other.document.id == known.document.id) == (False, False)


async def test_a_result_is_not_used_beyond_its_time(
    counter: ParseCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await counter.reused()
    monkeypatch.setattr(counter.submission, "_now", lambda: time() + 61)
    counter.record.now += timedelta(seconds=61)
    late = await counter.body()
    assert (late.reused, late.document.id == known.document.id) == (False, False)


async def test_a_deleted_result_is_not_used(counter: ParseCounter) -> None:
    known = await counter.reused()
    counter.submission._reuse._lookup.memory.forget(known.document.id)
    counter.record.jobs.clear()
    await counter.cache.forget(known.document.id)
    assert not (await counter.body()).reused


async def test_a_superseded_result_is_not_used_unasked(counter: ParseCounter) -> None:
    await counter.reused()
    refresh: dict[str, Any] = orjson.loads(PURE) | {"options": {"cache": "refresh"}}
    newer = await counter.body(orjson.dumps(refresh))
    assert not newer.reused
    counter.record.succeed(newer.document.id)
    assert (await counter.body()).document.id == newer.document.id


async def test_a_body_that_means_to_run_is_read_each_time(counter: ParseCounter) -> None:
    plain = PURE.replace(b"demo.pure", b"demo.sum")
    first, second = await counter.body(plain), await counter.body(plain)
    assert (first.document.id == second.document.id, counter.parsed) == (False, 2)


async def test_what_cannot_be_read_is_refused_each_time(counter: ParseCounter) -> None:
    for _ in range(2):
        with pytest.raises(Malformed):
            await counter.body(b"{")


async def test_only_so_many_bodies_are_known() -> None:
    counter = ParseCounter(most=2)
    bodies = [orjson.dumps({"kind": "demo.pure", "input": {"values": [each]}}) for each in range(3)]
    for raw in bodies:
        await counter.reused(raw)
    assert len(counter.submission._reuse._bodies) == 2
    await counter.submission.drain()
