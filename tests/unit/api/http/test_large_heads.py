"""Heads that are too large: answered before anybody sees the request, and not kept. A real server, bare sockets."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest

from api.http.asgi import Receive, Scope, Send
from api.http.uvicorn_protocol import MOST_HEAD
from tests.unit.api.http.test_uvicorn_protocol import Answers, Server, ask, echo, serving, slow_first

MANY = "".join(f"X-{number}: {'a' * 90}\r\n" for number in range(20_000))


class Seen:
    """Remembers the requests that came through."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await echo(scope, receive, send)


async def answer_to(server: Server, sent: bytes) -> bytes:
    """All that comes back until the connection ends."""
    async with server.connected() as (reader, writer):
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 10)


async def first_answer(server: Server, sent: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer, read while the server still takes what was sent."""
    async with asyncio.timeout(30), server.connected() as (reader, writer):
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: (\d+)\r\n", head)
        return head, await reader.readexactly(int(length))


@pytest.mark.parametrize(
    "head",
    [
        ask("/", f"X: {'a' * MOST_HEAD}\r\n"),
        ask("/", f"X: {'a' * 2_000_000}\r\n"),
        ask("/", MANY),
        ask(f"/{'a' * MOST_HEAD}"),
        ask(f"/?{'a' * 2_000_000}"),
        ask("/", f"X: {'a' * 2_000_000}\r\n")[:-4],
        ask("/", MANY)[:-2],
        b"\r\n" * MOST_HEAD,
    ],
)
async def test_a_head_that_is_too_large_is_answered_and_nobody_sees_it(head: bytes) -> None:
    seen = Seen()
    async with serving(seen, idle_s=30, lingers_s=30) as server:
        answer, body = await first_answer(server, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert orjson.loads(body)["type"] == "headers-too-large"
    assert seen.scopes == []


async def test_a_head_that_comes_bit_by_bit_is_refused_as_soon_as_it_is_too_large() -> None:
    async with serving(Seen()) as server, server.connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        answer = asyncio.create_task(reader.readline())
        sent = 0
        while not answer.done():
            writer.write(b"a" * 1_000)
            await writer.drain()
            await asyncio.sleep(0)
            sent += 1_000
            assert sent < 100 * MOST_HEAD
        assert (await answer).startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_just_fits_is_taken_whatever_follows_it() -> None:
    seen, size = Seen(), MOST_HEAD - 100
    head = ask("/", f"Content-Length: 500000\r\nX: {'a' * size}\r\n")
    async with serving(seen) as server, server.connected() as (reader, writer):
        for _ in range(2):
            writer.write(head + b"x" * 500_000)
            assert b"x-size: 500000" in await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 5)
    assert len(seen.scopes) == 2


async def test_many_requests_on_one_connection_may_have_large_heads_together() -> None:
    heads = [ask(f"/{number:02}", f"X: {'a' * 20_000}\r\n") for number in range(10)]
    async with serving(slow_first) as server, server.connected() as (reader, writer):
        writer.write(b"".join(heads))
        assert await Answers(10).read(reader) == [b"%02d" % number for number in range(10)]


async def test_no_answer_is_put_before_that_of_an_earlier_request() -> None:
    async with serving(slow_first) as server:
        whole = await answer_to(server, ask("/00") + ask("/01", f"X: {'a' * MOST_HEAD}\r\n"))
    assert b"431" not in whole


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


async def test_trailers_are_not_kept() -> None:
    seen = Seen()
    async with serving(seen) as server, server.connected() as (reader, writer):
        writer.write(CHUNKED + b"X: %b\r\n\r\n" % (b"a" * 1_000))
        assert b"x-size: 3" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert [name for name, _ in seen.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("trailers", [b"X: " + b"a" * 2_000_000, MANY.encode()])
async def test_trailers_without_end_end_the_request(trailers: bytes) -> None:
    got: list[Any] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        got.append(message["type"])

    async with serving(read, idle_s=30, lingers_s=30) as server:
        answer, _ = await first_answer(server, CHUNKED + trailers)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert got == ["http.disconnect"]
