"""The fast path: plain requests answered from the scope alone, others passed on, and no difference to be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest

from api.app import create_app
from api.http.asgi import AsgiApp, AsgiMessage, Header, Scope
from api.http.edge import REQUEST_ID, ROUTE, TRACEPARENT, EdgeMiddleware
from api.jobs.fast_path import MOST_BODY, FastPath
from api.state import ApiState
from sluice.core.job import JobState
from sluice.core.slo import CACHED
from tests.unit.api.http.test_edge import RequestStats
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

BODY = b'{"kind":"demo.sum","input":{"values":[1,2]}}'
JSON: Header = (b"content-type", b"application/json")
NOBODY = "01900000-0000-7000-8000-000000000000"


class Seen(NamedTuple):
    """An answer as the client sees it."""

    status: int
    headers: list[Header]
    body: bytes

    @property
    def shape(self) -> tuple[object, ...]:
        """All of it but the number of the request."""
        headers = [(name, value) for name, value in self.headers if name != b"x-request-id"]
        document = orjson.loads(self.body) if self.body else None
        if isinstance(document, dict) and "request_id" in document:
            document |= {"request_id": ""}
        return self.status, headers, document

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Inside:
    """Stands in for FastAPI, and remembers what was passed on."""

    def __init__(self) -> None:
        self.passed_on: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        self.passed_on.append(scope)


def fast_path(app: AsgiApp, state: ApiState) -> FastPath:
    """The fast path before this application."""
    return FastPath(
        app,
        state.keyring,
        state.submission,
        state.lookup,
        state.forecast,
        state.advisor,
        state.limits,
        state.held,
        state.rates,
    )


class TwoStacks:
    """The stack with and without the fast path, over one record."""

    def __init__(self) -> None:
        self.record = Record()
        self.state = build_state(self.record, settings(), Clock())
        self.inside = Inside()
        self.fast = fast_path(self.inside, self.state)
        self.key = self.record.add_key("acme", "submit", "read", "payloads")
        fastapi = create_app(self.state)
        self.apps = {"fast path": fast_path(fastapi, self.state), "FastAPI": fastapi}

    def auth(self, key: str | None = None) -> Header:
        return (b"authorization", b"Bearer " + (key or self.key).encode())

    async def know(self, key: str | None = None) -> None:
        """From now on the key is known to this process."""
        await self.state.keyring.check([self.auth(key)[1]])

    async def finished(self, tenant: str = "acme", remembered: bool = False) -> str:
        """A job that is done."""
        work = (await self.submit_as(tenant)).json["id"]
        self.record.finish(work)
        if remembered:
            await self.state.lookup.find(tenant, work)
        return str(work)

    async def submit_as(self, tenant: str) -> Seen:
        key = self.record.add_key(tenant, "submit")
        return await ask(self.apps["FastAPI"], post(self.auth(key)))

    async def compare(self, scope: Scope, body: bytes = b"") -> tuple[Seen, Seen]:
        """The same request to both."""
        both = [await ask(app, dict(scope), body) for app in self.apps.values()]
        return both[0], both[1]


@pytest.fixture
async def stacks() -> AsyncIterator[TwoStacks]:
    stacks = TwoStacks()
    await stacks.know()
    yield stacks
    await asyncio.wait_for(stacks.state.submission.drain(), 5)


def get(path: str, *headers: Header, **more: Any) -> Scope:
    """The scope of a look-up."""
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    return scope | {"headers": list(headers), REQUEST_ID: "r", TRACEPARENT: None} | more


def post(*headers: Header, body: bytes = BODY, **more: Any) -> Scope:
    """The scope of a submit with all it needs."""
    length = (b"content-length", b"%d" % len(body))
    return get("/v1/jobs", JSON, length, *headers, **({"method": "POST"} | more))


async def never() -> AsgiMessage:
    """Nothing may be received before the decision."""
    raise AssertionError("received before the decision")


async def ask(app: Any, scope: Scope, body: bytes = BODY, receive: Any = None) -> Seen:
    """What the client sees."""
    sent: list[AsgiMessage] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def from_client() -> AsgiMessage:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def to_client(message: AsgiMessage) -> None:
        sent.append(message)

    await EdgeMiddleware(app, RequestStats())(scope, receive or from_client, to_client)
    bodies = b"".join(message.get("body", b"") for message in sent[1:])
    return Seen(sent[0]["status"], sorted(sent[0]["headers"]), bodies) if sent else Seen(0, [], b"")


async def is_passed_on(stacks: TwoStacks, scope: Scope) -> bool:
    """Whether it was passed on, with nothing received and the very scope."""
    stacks.inside.passed_on.clear()
    await stacks.fast(scope, never, never)  # type: ignore[arg-type]  # nothing may be sent either
    return stacks.inside.passed_on == [scope]


async def test_a_plain_look_up_is_answered_from_the_scope_alone(stacks: TwoStacks) -> None:
    for remembered in (False, True):
        job_id = await stacks.finished(remembered=remembered)
        scope = get(f"/v1/jobs/{job_id}", stacks.auth())
        seen = await ask(stacks.fast, scope, receive=never)
        assert (seen.status, seen.json["result"], stacks.inside.passed_on) == (200, {"total": 3}, [])
        assert scope[ROUTE] == "/v1/jobs/{job_id}" + CACHED


async def test_a_plain_submit_is_answered(stacks: TwoStacks) -> None:
    scope = post(stacks.auth())
    seen = await ask(stacks.fast, scope)
    assert (seen.status, stacks.inside.passed_on, scope[ROUTE]) == (202, [], "/v1/jobs")
    assert stacks.record.jobs[seen.json["id"]].tenant == "acme"


async def test_the_trace_of_a_submit_reaches_the_job(stacks: TwoStacks) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    seen = await ask(stacks.fast, post(stacks.auth(), (b"traceparent", trace.encode())))
    assert stacks.record.jobs[seen.json["id"]].traceparent == trace


UNUSUAL_HEADERS: list[Header] = [
    (b"prefer", b"wait=5"),
    (b"range", b"bytes=0-1"),
    (b"expect", b"100-continue"),
    (b"content-encoding", b"gzip"),
    (b"transfer-encoding", b"chunked"),
    (b"idempotency-key", b"x"),
]


@pytest.mark.parametrize("header", UNUSUAL_HEADERS, ids=lambda header: header[0].decode())
async def test_an_unusual_header_is_passed_on_before_anything_is_received(
    stacks: TwoStacks, header: Header
) -> None:
    job_id = await stacks.finished(remembered=True)
    assert await is_passed_on(stacks, get(f"/v1/jobs/{job_id}", stacks.auth(), header))
    assert await is_passed_on(stacks, post(stacks.auth(), header))


@pytest.mark.parametrize("name", [b"authorization", b"if-none-match"])
async def test_a_header_that_comes_twice_is_passed_on(stacks: TwoStacks, name: bytes) -> None:
    job_id = await stacks.finished(remembered=True)
    value = stacks.auth()[1] if name == b"authorization" else b'"1"'
    headers = [stacks.auth(), (name, value), *([(name, value)] if name != b"authorization" else [])]
    assert await is_passed_on(stacks, get(f"/v1/jobs/{job_id}", *headers))


@pytest.mark.parametrize(
    "header", [JSON, (b"content-length", b"44"), (b"if-none-match", b'"1"'), (b"authorization", b"Bearer x")]
)
async def test_a_submit_with_a_header_too_many_is_passed_on(stacks: TwoStacks, header: Header) -> None:
    assert await is_passed_on(stacks, post(stacks.auth(), header))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-length", b"44")],
        [JSON],
        [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"44")],
        [(b"content-type", b"text/plain"), (b"content-length", b"44")],
        [JSON, (b"content-length", b"0")],
        [JSON, (b"content-length", b"-1")],
        [JSON, (b"content-length", b"+5")],
        [JSON, (b"content-length", b"x")],
        [JSON, (b"content-length", b"%d" % (MOST_BODY + 1))],
    ],
)
async def test_a_submit_without_a_plain_length_and_type_is_passed_on(
    stacks: TwoStacks, headers: list[Header]
) -> None:
    assert await is_passed_on(stacks, get("/v1/jobs", stacks.auth(), *headers, method="POST"))


@pytest.mark.parametrize(
    "change",
    [
        {"query_string": b"wait=1"},
        {"method": "DELETE"},
        {"method": "PUT"},
        {"raw_path": b"/v1/jobs/"},
        {"raw_path": b"/v1/jobs/%30" + NOBODY[1:].encode()},
        {"raw_path": b"/v1/kinds/" + NOBODY[1:].encode()},
        {"raw_path": b"/v2/jobs/" + NOBODY.encode()},
    ],
)
async def test_another_path_method_or_a_query_is_passed_on(stacks: TwoStacks, change: dict[str, Any]) -> None:
    job_id = await stacks.finished(remembered=True)
    assert await is_passed_on(stacks, get(f"/v1/jobs/{job_id}", stacks.auth(), **change))
    assert await is_passed_on(stacks, post(stacks.auth(), **change))


async def test_a_look_up_with_a_body_and_a_listing_are_passed_on(stacks: TwoStacks) -> None:
    job_id = await stacks.finished(remembered=True)
    assert await is_passed_on(stacks, get(f"/v1/jobs/{job_id}", stacks.auth(), (b"content-length", b"2")))
    assert await is_passed_on(stacks, get("/v1/jobs", stacks.auth()))


async def test_a_job_under_another_root_is_passed_on(stacks: TwoStacks) -> None:
    job_id = await stacks.finished(remembered=True)
    for path in (f"/v2/jobs/{job_id}", f"/v1/JOBS/{job_id}", f"/v1/jobs/{job_id}/result"):
        assert await is_passed_on(stacks, get(path, stacks.auth()))


async def test_what_is_not_http_is_passed_on(stacks: TwoStacks) -> None:
    assert await is_passed_on(stacks, {"type": "lifespan"})


async def test_who_is_not_known_yet_or_may_not_is_passed_on(stacks: TwoStacks) -> None:
    job_id = await stacks.finished(remembered=True)
    reader, submitter = (
        stacks.record.add_key("acme", "read", "payloads"),
        stacks.record.add_key("acme", "submit"),
    )
    fresh = stacks.record.add_key("acme", "read", "payloads", "submit")
    for key in (reader, submitter):
        await stacks.know(key)
    for headers in ([], [stacks.auth(fresh)], [stacks.auth(submitter)]):
        assert await is_passed_on(stacks, get(f"/v1/jobs/{job_id}", *headers))
    for headers in ([], [stacks.auth(fresh)], [stacks.auth(reader)]):
        assert await is_passed_on(stacks, post(*headers))


async def test_a_look_up_without_a_good_answer_is_passed_on(stacks: TwoStacks) -> None:
    assert await is_passed_on(stacks, get(f"/v1/jobs/{NOBODY}", stacks.auth()))
    assert await is_passed_on(stacks, get(f"/v1/jobs/{'☃' * 12}", stacks.auth()))
    stacks.record.away = True
    assert await is_passed_on(stacks, get(f"/v1/jobs/{NOBODY}", stacks.auth()))


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_foreign_id_is_the_same_as_an_unknown_one(stacks: TwoStacks, remembered: bool) -> None:
    foreign = await stacks.finished(tenant="other", remembered=remembered)
    assert await is_passed_on(stacks, get(f"/v1/jobs/{foreign}", stacks.auth()))
    seen = [shape.shape for shape in await stacks.compare(get(f"/v1/jobs/{foreign}", stacks.auth()))]
    unknown = [shape.shape for shape in await stacks.compare(get(f"/v1/jobs/{NOBODY}", stacks.auth()))]
    assert seen == unknown
    assert seen[0][0] == 404


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("validator", [None, b'"3"', b'W/"3"', b"*", b'"1"', b'"1", "3"', b"nonsense"])
async def test_a_finished_job_is_shown_alike_by_both(
    stacks: TwoStacks, remembered: bool, validator: bytes | None
) -> None:
    job_id = await stacks.finished(remembered=remembered)
    more = [(b"if-none-match", validator)] if validator else []
    fast, fastapi = await stacks.compare(get(f"/v1/jobs/{job_id}", stacks.auth(), *more))
    assert fast.shape == fastapi.shape
    assert fast.status == (304 if validator and (b"3" in validator or validator == b"*") else 200)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.CANCELLED])
async def test_a_job_in_any_state_is_shown_alike_by_both(stacks: TwoStacks, state: JobState) -> None:
    job_id = (await stacks.submit_as("acme")).json["id"]
    stacks.record.finish(job_id, state, None)
    fast, fastapi = await stacks.compare(get(f"/v1/jobs/{job_id}", stacks.auth()))
    assert fast.shape == fastapi.shape
    assert (fast.status, fast.json["state"]) == (200, state)


async def test_a_submit_is_answered_alike_by_both(stacks: TwoStacks) -> None:
    seen = await stacks.compare(post(stacks.auth()), BODY)
    statuses, names, documents = zip(
        *((each.status, [name for name, _ in each.headers], each.json) for each in seen), strict=True
    )
    assert statuses == (202, 202)
    assert names[0] == names[1]
    ids = [document.pop("id") for document in documents]
    assert documents[0].pop("links").keys() == documents[1].pop("links").keys()
    assert documents[0] == documents[1]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"kind":"demo.none","input":{}}',
        b'{"kind":"demo.sum","input":{"values":["x"]}}',
        b'{"kind":"demo.sum","input":{"values":[],"x":"%s"}}' % (b"y" * 3_000),
        b'{"kind":"demo.sum","input":{"values":[]},"options":{"lane":"fast"}}',
    ],
)
async def test_a_refused_submit_is_answered_alike_by_both(stacks: TwoStacks, body: bytes) -> None:
    fast, fastapi = await stacks.compare(post(stacks.auth(), body=body), body)
    assert fast.shape == fastapi.shape
    assert fast.status >= 400


async def test_a_submit_while_the_record_is_away_is_answered_alike_by_both(stacks: TwoStacks) -> None:
    stacks.record.away = True
    fast, fastapi = await stacks.compare(post(stacks.auth()), BODY)
    assert fast.shape == fastapi.shape
    assert (fast.status, fast.json["type"]) == (503, "record-away")


async def test_a_client_that_leaves_in_mid_body_submits_nothing(stacks: TwoStacks) -> None:
    async def leaves() -> AsgiMessage:
        return {"type": "http.disconnect"}

    seen = await ask(stacks.fast, post(stacks.auth()), receive=leaves)
    assert (seen.status, stacks.record.jobs) == (499, {})


async def test_a_tenant_sees_only_its_own_whatever_the_order(stacks: TwoStacks) -> None:
    other = stacks.record.add_key("other", "submit", "read", "payloads")
    await stacks.know(other)
    owned = {"acme": await stacks.finished("acme"), "other": await stacks.finished("other")}
    keys = {"acme": stacks.key, "other": other}
    for _ in range(2):
        for caller, key in keys.items():
            for owner, job_id in owned.items():
                fast, fastapi = await stacks.compare(get(f"/v1/jobs/{job_id}", stacks.auth(key)))
                assert fast.status == fastapi.status == (200 if caller == owner else 404)
