"""HTTP in its less frequent forms: old clients, other targets, what is not HTTP at all. A real server, bare sockets."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from api.app import wrap_middleware
from api.http.asgi import Receive, Scope, Send
from api.http.response import Reply, send_last
from sluice.adapters.metrics import Metrics
from tests.unit.api.http.test_large_heads import Seen, answer_to
from tests.unit.api.http.test_upgrade_offers import repeat
from tests.unit.api.http.test_uvicorn_protocol import Answers, ask, echo, serving, slow_first, small, stream
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

PART = b"x" * 1_000


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://example.org/v1/jobs?wait=1", "/v1/jobs", b"wait=1"),
        ("http://user@example.org:8000/a%20b", "/a b", b""),
        ("http://example.org", "/", b""),
        ("http://example.org?wait=1", "/", b"wait=1"),
        ("/v1/jobs?", "/v1/jobs", b""),
        ("//v1/jobs", "//v1/jobs", b""),
    ],
)
async def test_a_target_may_name_the_host(target: str, path: str, query: bytes) -> None:
    seen = Seen()
    async with serving(seen) as server, server.connected() as (reader, writer):
        writer.write(ask(target))
        assert b"200" in await reader.readline()
    [scope] = seen.scopes
    assert (scope["path"], scope["query_string"]) == (path, query)
    assert scope["raw_path"].startswith(b"/")


async def test_the_options_of_the_whole_server_are_those_of_its_root() -> None:
    async with serving(repeat) as server, server.connected() as (reader, writer):
        writer.write(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await Answers(1).read(reader) == [b"OPTIONS / "]


BAD = [
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
    b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n z\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX-Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"GET http://example.org/ HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\nhOST: z\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
]


@pytest.mark.parametrize("raw", BAD)
async def test_what_is_no_request_is_answered_with_a_problem(raw: bytes) -> None:
    seen = Seen()
    async with serving(seen) as server:
        head, _, body = (await answer_to(server, raw)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    assert orjson.loads(body)["type"] == "malformed-request"


@pytest.mark.parametrize("junk", [b"junk\r\n\r\n", b"GET /x HTTP/1.1\r\nX : y\r\n\r\n", b'}"'])
async def test_what_follows_a_whole_request_does_not_cost_its_answer(junk: bytes) -> None:
    async with serving(slow_first) as server:
        whole = await answer_to(server, ask("/00") + ask("/01") + junk)
    assert whole.count(b"HTTP/1.1 200 ") == 2
    assert whole.endswith(b"connection: close\r\n\r\n01")


BROKEN = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n"


async def test_a_body_that_breaks_off_is_answered_with_a_problem() -> None:
    got: list[str] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            assert message["more_body"]
        got.append(message["type"])

    async with serving(read) as server:
        whole = await answer_to(server, BROKEN)
    assert whole.startswith(b"HTTP/1.1 400 ")
    assert got == ["http.disconnect"]


async def test_a_body_that_breaks_off_does_not_cost_the_answer_before_it() -> None:
    async with serving(slow_first) as server:
        whole = await answer_to(server, ask("/00") + BROKEN)
    assert whole.startswith(b"HTTP/1.1 200 ")
    assert whole.count(b"HTTP/1.1 400 ") == 1
    assert whole.index(b"00HTTP/1.1 400 ")


def old(more: str = "", path: str = "/00", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.0\r\n{more}\r\n".encode()


async def test_a_client_of_http_1_0_keeps_its_connection_if_it_wants_to() -> None:
    async with serving(small) as server, server.connected() as (reader, writer):
        for path in ("/00", "/01"):
            writer.write(old("Connection: Keep-Alive\r\n", path))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert b"connection: keep-alive\r\n" in head
            assert await reader.readexactly(2) == path[1:].encode()
        writer.write(old())
        whole = await asyncio.wait_for(reader.read(), 5)
    assert b"connection: close\r\n" in whole


async def test_a_client_of_http_1_0_that_sends_too_much_is_answered_and_left() -> None:
    async with serving(slow_first) as server:
        whole = await answer_to(server, old("Connection: keep-alive\r\n") + b"junk\r\n\r\n")
    assert b"connection: close\r\n" in whole
    assert whole.endswith(b"\r\n\r\n00")


async def test_a_client_of_http_1_0_gets_no_parts() -> None:
    async with serving(stream_without_length) as server:
        whole = await answer_to(server, old("Connection: keep-alive\r\n"))
    head, _, body = whole.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == 5 * PART


async def stream_without_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends parts, and does not say how."""

    async def plainly(message: object) -> None:
        assert isinstance(message, dict)
        await send(message | {"headers": []} if "headers" in message else message)

    await stream(scope, receive, plainly)


async def test_a_client_of_http_1_1_gets_its_parts_marked() -> None:
    async with serving(stream_without_length) as server, server.connected() as (reader, writer):
        writer.write(ask("/", "Expect: 100-continue\r\n"))
        assert await Answers(1).read(reader) == [5 * PART]


async def test_the_head_of_an_old_clients_answer_keeps_its_connection_too() -> None:
    async with serving(stream_without_length) as server, server.connected() as (reader, writer):
        writer.write(old("Connection: keep-alive\r\n", method="HEAD") * 2)
        for _ in range(2):
            assert b"keep-alive" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_the_last_answer_to_an_old_client_does_not_promise_more() -> None:
    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        await send_last(
            Reply(200, [(b"content-length", b"1"), (b"connection", b"close")], b"x"), receive, send
        )

    async with serving(leave) as server:
        whole = await answer_to(server, old("Connection: keep-alive\r\n"))
    assert b"keep-alive" not in whole
    assert whole.endswith(b"\r\n\r\nx")


async def test_a_client_of_http_1_0_is_never_asked_to_go_on() -> None:
    async with serving(echo) as server:
        asked = old("Content-Length: 3\r\nExpect: 100-continue\r\n", method="POST") + b"abc"
        assert (await answer_to(server, asked)).startswith(b"HTTP/1.1 200 ")


WAITS = "Content-Length: 3\r\nExpect: 100-continue\r\n"


async def test_a_client_whose_body_was_not_asked_for_has_to_connect_again() -> None:
    async with serving(small) as server:
        whole = await answer_to(server, ask("/00", WAITS))
    assert b"connection: close\r\n" in whole
    assert b"100 Continue" not in whole


async def test_a_client_that_sent_its_body_unasked_keeps_its_connection() -> None:
    async with serving(small) as server, server.connected() as (reader, writer):
        writer.write(ask("/00", WAITS) + b"abc" + ask("/01"))
        assert await Answers(2).read(reader) == [b"00", b"01"]


@pytest.mark.parametrize("express", [True, False])
async def test_a_body_that_is_too_large_is_refused_and_not_asked_for(
    record: Record, clock: Clock, express: bool
) -> None:
    app = wrap_middleware(build_state(record, settings(express=express), clock), Metrics())
    key = record.add_key("acme", "submit")
    head = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n"
    async with serving(app) as server:
        whole = await answer_to(server, ask("/v1/jobs", head).replace(b"GET", b"POST", 1))
    assert whole.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in whole
