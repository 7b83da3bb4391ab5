"""What goes over the wire: one write per answer, nothing lost, nothing out of order. A real server, bare sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from httptools import HttpResponseParser

from api.http import quick_cycle
from api.http.asgi import AsgiApp, AsgiMessage, Receive, Scope, Send
from api.http.connection_caps import ConnectionCaps
from api.http.edge import EdgeMiddleware
from api.http.joined_writes import JoinedWrites
from api.http.unread_answers import UnreadAnswers
from api.http.uvicorn_protocol import AT_ONCE, Protocol
from sluice.adapters.http_server import EmbeddedServer, listen

PART = b"x" * 1_000


class Writes:
    """A transport that remembers its writes, and does the rest with the real one."""

    def __init__(self, transport: Any, seen: list[bytes]) -> None:
        self._transport, self._seen = transport, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._seen.append(bytes(data))
        self._transport.write(data)


async def small(scope: Scope, receive: Receive, send: Send) -> None:
    """Says which path it was."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": scope["path"][-2:].encode()})


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends parts, each in a turn of its own."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"transfer-encoding", b"chunked")]}
    )
    for _ in range(5):
        await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": PART, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends more than any buffer holds, so that the server has to wait for the client."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000000")]})
    for _ in range(200):
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def slow_first(scope: Scope, receive: Receive, send: Send) -> None:
    """The earlier the request, the later it would be ready."""
    await asyncio.sleep(0.02 if scope["path"] == "/00" else 0)
    await small(scope, receive, send)


async def last(scope: Scope, receive: Receive, send: Send) -> None:
    """Asks for the connection to be closed after the answer."""
    headers = [(b"content-length", b"1000"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PART})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back how much it got."""
    size, more = 0, True
    while more:
        message: AsgiMessage = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-size", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b""})


class Server:
    """A server on a free port, its connections, and what it wrote."""

    def __init__(self, port: int, writes: list[bytes], protocols: list[Protocol]) -> None:
        self.port, self.writes, self.protocols = port, writes, protocols

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    app: AsgiApp,
    idle_s: Any = 1,
    head_s: Any = None,
    lingers_s: float = 0.2,
    edge: EdgeMiddleware | None = None,
    unread: UnreadAnswers | None = None,
    caps: ConnectionCaps | None = None,
) -> AsyncIterator[Server]:
    """Serve this application; a connection without a request is closed after `idle_s`, or sooner if it has had none."""
    writes: list[bytes] = []
    protocols: list[Protocol] = []

    class Watched(Protocol):
        head_timeout_s = head_s or idle_s
        linger_s = lingers_s

        def connection_made(self, transport: Any) -> None:
            protocols.append(self)
            super().connection_made(Writes(transport, writes))  # type: ignore[arg-type]  # it behaves as one

    Watched.edge, Watched.unread, Watched.caps = edge, unread, caps
    config = uvicorn.Config(
        app, http=Watched, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=1, timeout_keep_alive=idle_s,
    )  # fmt: skip
    server = EmbeddedServer(config)
    with listen("127.0.0.1", 0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Server(listener.getsockname()[1], writes, protocols)
        finally:
            server.should_exit = True
            await asyncio.wait([task])


class Answers:
    """Parses every answer on a connection."""

    def __init__(self, count: int) -> None:
        self.bodies: list[bytes] = []
        self._count = count
        self._parser = HttpResponseParser(self)
        self._body = b""

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        self.bodies.append(self._body)

    async def read_more(self, count: int, reader: asyncio.StreamReader) -> list[bytes]:
        """The bodies of all answers, once there are so many more."""
        self._count += count
        return await self.read(reader)

    async def read(self, reader: asyncio.StreamReader) -> list[bytes]:
        """The bodies of so many answers."""
        async with asyncio.timeout(20):
            while len(self.bodies) < self._count:
                data = await reader.read(65_536)
                assert data, f"closed after {len(self.bodies)} answers"
                self._parser.feed_data(data)
        return self.bodies


def ask(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()


async def test_a_small_answer_is_one_write() -> None:
    async with serving(small) as server, server.connected() as (reader, writer):
        for number in range(3):
            writer.write(ask(f"/{number:02}"))
            assert await Answers(1).read(reader) == [b"%02d" % number]
    assert len(server.writes) == 3
    assert all(each.startswith(b"HTTP/1.1 200") for each in server.writes)


async def test_the_head_of_a_usual_answer_is_made_of_lines_that_are_kept() -> None:
    quick_cycle._line.cache_clear()
    async with serving(small) as server, server.connected() as (reader, writer):
        for _ in range(2):
            writer.write(ask("/01"))
            await Answers(1).read(reader)
    assert quick_cycle._line.cache_info().hits > 0


async def test_a_streamed_answer_goes_out_as_its_parts_come() -> None:
    async with serving(stream) as server, server.connected() as (reader, writer):
        writer.write(ask("/"))
        assert await Answers(1).read(reader) == [5 * PART]
    assert 5 <= len(server.writes) <= 7


async def test_a_large_answer_arrives_whole_at_a_slow_reader() -> None:
    async with serving(large) as server, server.connected() as (reader, writer):
        writer.write(ask("/"))
        await reader.readuntil(
            b"\r\n\r\n"
        )  # and no further, so that the buffers fill and writing has to pause
        assert sum(map(len, server.writes)) < 15_000_000
        assert await reader.readexactly(20_000_000) == b"x" * 20_000_000


async def test_closing_sends_what_was_written_first() -> None:
    async with serving(last) as server, server.connected() as (reader, writer):
        writer.write(ask("/"))
        whole = await asyncio.wait_for(reader.read(), 5)
    assert whole.endswith(b"\r\n\r\n" + PART)
    assert len(server.writes) == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(slow_first) as server, server.connected() as (reader, writer):
        writer.write(b"".join(ask(f"/{number:02}") for number in range(100)))
        assert await Answers(100).read(reader) == [b"%02d" % number for number in range(100)]


async def test_however_many_requests_are_pipelined_few_are_in_memory_at_once() -> None:
    """Each is far larger there than on the wire."""
    most = 0

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        most = max(most, *(len(each.pipeline) for each in server.protocols))
        await small(scope, receive, send)

    async with serving(look) as server, server.connected() as (reader, writer):
        answers = Answers(0)
        for _ in range(4):
            writer.write(b"GET /00 HTTP/1.1\r\nHost: x\r\n\r\n" * 2_500)
            await answers.read_more(1, reader)
        assert len(await answers.read_more(9_996, reader)) == 10_000
    assert 100 < most < 1.1 * AT_ONCE / 20


async def test_what_is_pipelined_is_not_read_before_its_time() -> None:
    turns = asyncio.Semaphore(8)

    async def one_a_turn(scope: Scope, receive: Receive, send: Send) -> None:
        await turns.acquire()
        await small(scope, receive, send)

    async with serving(one_a_turn) as server, server.connected() as (reader, writer):
        writer.write(b"GET /00 HTTP/1.1\r\nHost: x\r\n\r\n" * 250_000)
        await Answers(8).read(reader)
        await asyncio.sleep(0.05)
        assert 0 < len(server.protocols[0]._held) <= 512 * 1024
        writer.transport.abort()


async def test_a_body_behind_pipelined_requests_is_taken_in_whole() -> None:
    async with serving(echo) as server, server.connected() as (reader, writer):
        writer.write(
            ask("/") * 400 + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
        )
        seen = b""
        while b"x-size: 300000" not in seen:
            seen += await asyncio.wait_for(reader.read(65_536), 5)
    assert seen.count(b"HTTP/1.1 200") == 401


async def test_a_request_that_is_no_http_is_answered_before_the_connection_closes() -> None:
    async with serving(small) as server, server.connected() as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n")
        whole = await asyncio.wait_for(reader.read(), 5)
    assert whole.startswith(b"HTTP/1.1 400")


async def test_a_client_that_expects_to_be_asked_for_its_body_is_asked_at_once() -> None:
    async with serving(echo) as server, server.connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert b"x-size: 3" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_a_large_body_is_taken_in_whole() -> None:
    async with serving(echo) as server, server.connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        assert b"x-size: 3000000" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_a_client_that_has_left_harms_nobody() -> None:
    async with serving(stream) as server:
        for _ in range(5):
            async with server.connected() as (_, writer):
                writer.write(ask("/"))
        async with server.connected() as (reader, writer):
            writer.write(ask("/"))
            assert await Answers(1).read(reader) == [5 * PART]


class Sink:
    """A transport that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.got.append(data)

    def close(self) -> None:
        self.got.append(b"closed")

    def is_closing(self) -> bool:
        return self.got[-1:] == [b"closed"]


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def test_what_is_written_in_one_turn_leaves_together_at_its_end(sink: Sink) -> None:
    joined = JoinedWrites(sink, asyncio.get_running_loop())  # type: ignore[arg-type]  # it behaves as one
    for part in (b"a", b"b", b"c"):
        joined.write(part)
    assert sink.got == []
    await asyncio.sleep(0)
    joined.write(b"d")
    await asyncio.sleep(0)
    assert sink.got == [b"abc", b"d"]


async def test_many_bytes_do_not_wait_for_the_end_of_the_turn(sink: Sink) -> None:
    joined = JoinedWrites(sink, asyncio.get_running_loop())  # type: ignore[arg-type]  # it behaves as one
    for _ in range(3):
        joined.write(b"x" * 40_000)
    assert sink.got == [b"x" * 80_000]
    await asyncio.sleep(0)
    assert sink.got == [b"x" * 80_000, b"x" * 40_000]


async def test_nothing_is_written_after_the_close(sink: Sink) -> None:
    joined = JoinedWrites(sink, asyncio.get_running_loop())  # type: ignore[arg-type]  # it behaves as one
    joined.write(b"a")
    joined.close()
    await asyncio.sleep(0)
    assert (sink.got, joined.is_closing()) == ([b"a", b"closed"], True)
