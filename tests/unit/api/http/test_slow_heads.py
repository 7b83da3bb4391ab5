"""Connections whose requests do not come, or not to their end. A real server, bare sockets."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from api.http.asgi import Receive, Scope, Send
from tests.unit.api.http.test_uvicorn_protocol import Answers, ask, echo, serving, small

IDLE_S = 0.2
HEAD = b"GET /01 HTTP/1.1\r\nHost: x\r\nX: "


async def drip(writer: asyncio.StreamWriter, drop: bytes) -> None:
    """Send something ever and again."""
    with suppress(ConnectionError):
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(IDLE_S / 20)


async def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    async with serving(small, IDLE_S) as server, server.connected() as (reader, _):
        assert await asyncio.wait_for(reader.read(), 5) == b""


@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize(("begin", "drop"), [(HEAD, b"a"), (b"G", b""), (b"\r\n", b"\r\n")])
async def test_a_head_without_end_is_answered_with_408(earlier: int, begin: bytes, drop: bytes) -> None:
    async with serving(small, IDLE_S) as server, server.connected() as (reader, writer):
        for _ in range(earlier):
            writer.write(ask("/00"))
            assert await Answers(1).read(reader) == [b"00"]
        writer.write(begin)
        dripping = asyncio.create_task(drip(writer, drop))
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 408 ")
        assert b'"request-timeout"' in await asyncio.wait_for(reader.readuntil(b"}"), 5)
        dripping.cancel()


async def test_a_head_that_begins_late_has_the_whole_time() -> None:
    async with serving(small, 2 * IDLE_S) as server, server.connected() as (reader, writer):
        for _ in range(2):
            await asyncio.sleep(1.25 * IDLE_S)
            writer.write(HEAD)
            await asyncio.sleep(1.25 * IDLE_S)
            writer.write(b"a\r\n\r\n")
            assert await Answers(1).read(reader) == [b"01"]


async def test_a_request_may_be_under_way_for_longer() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3 * IDLE_S)
        await echo(scope, receive, send)

    async with serving(slow, IDLE_S) as server, server.connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        await asyncio.sleep(2 * IDLE_S)
        writer.write(b"bc" + HEAD)  # and the next one, which has its time from the end of this one
        assert b"x-size: 3" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_an_idle_connection_is_kept_longer_than_a_head_may_take() -> None:
    async with serving(small, 5 * IDLE_S, head_s=IDLE_S) as server, server.connected() as (reader, writer):
        for path in ("/00", "/01"):
            writer.write(ask(path))
            assert await Answers(1).read(reader) == [path[1:].encode()]
            await asyncio.sleep(2 * IDLE_S)
        assert await asyncio.wait_for(reader.read(), 5) == b""
