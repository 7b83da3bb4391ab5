"""Requests as odd clients send them: an answer below 500 in each case, and the connection goes on. A real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from api.app import wrap_middleware
from sluice.adapters.metrics import Metrics
from tests.support.paired_apis import Answer, Headers, read_answer, request
from tests.unit.api.http.test_uvicorn_protocol import Server, serving
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

GOOD = b'{"kind":"demo.sum","input":{"values":[1,2]}}'
JSON = ("Content-Type", "application/json")
NOBODY = "/v1/jobs/01900000-0000-7000-8000-000000000000"


class OddClient:
    """One connection, with a key that may do everything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader, self._writer = reader, writer
        self.key = ("Authorization", f"Bearer {key}")

    async def ask(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        self._writer.write(request(method, target, (self.key, *headers), body))
        return await self.read()

    async def read(self) -> Answer:
        return await asyncio.wait_for(read_answer(self._reader), 10)

    async def goes_on(self) -> None:
        answer = await self.ask("POST", "/v1/jobs", (JSON,), GOOD)
        assert (answer.status, orjson.loads(answer.body)["state"]) == (202, "queued")


@asynccontextmanager
async def connected(server: Server, key: str) -> AsyncIterator[OddClient]:
    async with server.connected() as (reader, writer):
        yield OddClient(reader, writer, key)


@pytest.fixture(params=[True, False], ids=["fast path", "FastAPI"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[OddClient]:
    record = Record()
    state = build_state(record, settings(express=request.param), Clock())
    key = record.add_key("acme", "submit", "read", "payloads", "admin")
    async with serving(wrap_middleware(state, Metrics()), 10) as server, connected(server, key) as client:
        await client.goes_on()
        yield client
        await state.submission.drain()


PATHS = [
    "/%", "/%00", "/%zz", "/%ff%fe", "/v1/jobs/%00", "/v1/jobs/%ff", "/v1/jobs/..%2f..", "/v1/jobs/%2e%2e/%2e%2e",
    "/v1/jobs/" + "9" * 5_000, "/v1/kinds/%00", "/v1/kinds/%E2%80%AE", "/v1/schedules/%00", "/v1/schedules/%ff",
    "/v1/schedules/a%00/run", "/v1/jobs/%00/result", "/v1/jobs;a=b", "/v1//jobs", "/v1/./jobs", "/docs/assets/%00",
    "/docs/assets/..%2f..%2f..%2fetc%2fpasswd", "/docs/assets/" + "a" * 5_000, "/docs/assets/%ff",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_an_odd_path_is_not_found_and_nothing_breaks(client: OddClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = await client.ask(method, path)
        assert answer.status in (204, 404, 405), (method, answer)
    await client.goes_on()


QUERIES = [
    "%", "%00", "%ff=%fe", "&&&==", "wait=%00", "wait=1;wait=2", "tag=%00", "tag=%ff", "kind=%00", "state=%ff", "error=%00",
    "page_token=%00", "page_token=%ff", "page_size=%D9%A1", "created_after=%00", "created_after=9999-99-99T00:00:00Z",
    "timing=%00", "a=" + "b" * 10_000, "&".join(f"a{n}=1" for n in range(2_000)),
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_an_odd_query_is_refused_or_means_nothing(client: OddClient, query: str) -> None:
    for path in ("/v1/jobs", "/v1/schedules", NOBODY, "/v1/errors", "/v1/kinds", "/"):
        answer = await client.ask("GET", f"{path}?{query}")
        assert answer.status in (200, 404, 422), (path, answer)
    assert (await client.ask("POST", f"/v1/jobs?{query}", (JSON,), GOOD)).status in (202, 422)
    await client.goes_on()


ODD = [
    "",
    "\xff\xfe",
    "\xa0",
    "a\tb",
    '"',
    '"\\',
    ",,;;==",
    "*",
    "a" * 9_000,
    "=?utf-8?q?x?=",
    "%00",
    "1e9",
    "-1",
    "{}",
]
NAMES = [
    "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Connection", "Content-Encoding", "Content-Type", "Cookie",
    "Date", "Expect", "Forwarded", "If-Match", "If-Modified-Since", "If-None-Match", "Idempotency-Key", "Keep-Alive",
    "Origin", "Prefer", "Range", "Trailer", "traceparent", "Upgrade", "User-Agent", "Via", "X-Forwarded-Prefix",
    "X-HTTP-Method-Override", "X-Request-Id",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_an_odd_header_is_refused_or_means_nothing(client: OddClient, name: str) -> None:
    for value in ODD:
        for headers in (((name, value),), ((name, value), (name, value))):
            types = () if name == "Content-Type" else (JSON,)
            answer = await client.ask("POST", "/v1/jobs", (*types, *headers), GOOD)
            assert answer.status in (200, 202, 400, 415, 422), (headers, answer)
            assert (await client.ask("GET", NOBODY, headers)).status == 404
    page = await client.ask("GET", "/docs/assets/favicon.png", ((name, '"\xff'),))
    assert page.status in (200, 206, 400, 416)
    await client.goes_on()


@pytest.mark.parametrize(
    "value", ["text/html", "application/xml;q=1, */*;q=0", "application/json;q=0", "*/*;q=x"]
)
async def test_whatever_a_client_accepts_it_gets_json(client: OddClient, value: str) -> None:
    answer = await client.ask("POST", "/v1/jobs", (JSON, ("Accept", value)), GOOD)
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    assert (await client.ask("GET", NOBODY, (("Accept", value),))).headers[
        "content-type"
    ] == "application/problem+json"


@pytest.mark.parametrize("value", ["gzip, br, zstd", "identity;q=0", "*;q=0", ""])
async def test_whatever_encodings_a_client_accepts_it_gets_none(client: OddClient, value: str) -> None:
    answer = await client.ask("GET", "/v1/kinds", (("Accept-Encoding", value),))
    assert (answer.status, "content-encoding" in answer.headers) == (200, False)
    orjson.loads(answer.body)


@pytest.mark.parametrize("authorization", ODD)
async def test_an_odd_key_is_no_key(client: OddClient, authorization: str) -> None:
    client.key = ("Authorization", authorization)
    assert (await client.ask("GET", NOBODY)).status == 401
    assert (await client.ask("POST", "/v1/jobs", (JSON,), GOOD)).status == 401


async def test_submits_can_be_pipelined(client: OddClient) -> None:
    both = request("POST", "/v1/jobs", (client.key, JSON), GOOD) + request("GET", NOBODY, (client.key,))
    client._writer.write(both * 20)
    answers = [await client.read() for _ in range(40)]
    assert [answer.status for answer in answers] == [202, 404] * 20
    assert len({orjson.loads(answer.body)["id"] for answer in answers[::2]}) == 20
