"""The load at a fixed rate, against a server of the test's own."""

from __future__ import annotations

import asyncio
from time import perf_counter

from loadtests.bench.open_loop import OpenLoop
from tests.support.waiting import until

BODY = b'{"state":"succeeded"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request and close, as servers do with connections that are idle for some seconds."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


async def test_a_connection_that_the_server_has_closed_is_not_taken_again() -> None:
    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = OpenLoop(f"http://127.0.0.1:{port}", b"GET / HTTP/1.1\r\n\r\n")
        await load._one(perf_counter())
        (connection,) = load._idle
        await until(lambda: connection.is_lost)
        async with asyncio.timeout(10):
            await load._one(perf_counter())
    assert connection not in load._idle
