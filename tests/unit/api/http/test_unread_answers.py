"""Clients that do not read their answers cost a bounded number of bytes. A real server, bare sockets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from api.http.asgi import Receive, Scope, Send
from api.http.unread_answers import YOUNG_S, UnreadAnswers
from tests.support.waiting import until
from tests.unit.api.http.test_uvicorn_protocol import Server, serving

MIB = 1024 * 1024
ANSWER = 64 * MIB
"""Far more than the kernel holds for a connection on loopback."""

MOST = 3 * ANSWER
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def big(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends one answer, at once."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % ANSWER)]}
    )
    await send({"type": "http.response.body", "body": b"x" * ANSWER})


class Clients:
    """Clients of one server that ask and then read nothing, unless they are told to."""

    def __init__(self, server: Server, unread: UnreadAnswers, stack: AsyncExitStack) -> None:
        self._server, self._unread, self._stack = server, unread, stack

    async def ask(self) -> Client:
        """Ask on a connection of its own; its answer waits in the server, or has had somebody cut off."""
        client = await self._stack.enter_async_context(self._server.connected())
        client[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(client[0].readuntil(b"\r\n\r\n"), 30)
        assert len(self._unread) <= MOST
        return client


async def reads(client: Client, size: int = ANSWER) -> bool:
    """Read so many bytes; return whether they came, or the client was cut off."""
    try:
        await asyncio.wait_for(client[0].readexactly(size), 30)
    except (ConnectionResetError, asyncio.IncompleteReadError):
        return False
    return True


async def test_answers_that_nobody_reads_are_bounded_and_cost_those_who_read_nothing() -> None:
    cuts, now = [0], 0.0

    def count() -> None:
        cuts[0] += 1

    unread = UnreadAnswers(MOST, count, lambda: now)
    async with serving(big, 60, unread=unread) as server, AsyncExitStack() as stack:
        clients = Clients(server, unread, stack)
        *idle, slow = [await clients.ask() for _ in range(3)]
        assert cuts == [0]
        assert await reads(slow, 60 * MIB)
        now = 2 * YOUNG_S
        young = [await clients.ask() for _ in range(2)]
        assert 0 < len(unread) <= MOST
        assert cuts[0] > 0
        assert [await reads(each) for each in idle].count(False) == cuts[0]
        assert [await reads(each) for each in young] == [True, True]
        assert await reads(slow, ANSWER - 60 * MIB)
        await until(lambda: not len(unread))
    assert repr(unread) == "<UnreadAnswers: 0 bytes of 0 connections>"


async def test_those_who_have_only_begun_are_bounded_too_and_are_cut_off_many_at_once() -> None:
    cuts = [0]

    def count() -> None:
        cuts[0] += 1

    unread = UnreadAnswers(MOST, count, lambda: 0.0)
    async with serving(big, 60, unread=unread) as server, AsyncExitStack() as stack:
        clients = Clients(server, unread, stack)
        for _ in range(12):
            before = cuts[0]
            await clients.ask()
            assert cuts[0] == before or len(unread) <= MOST * 7 // 8
        assert cuts[0] >= 8
    await until(lambda: repr(unread) == "<UnreadAnswers: 0 bytes of 0 connections>")


async def test_the_next_answer_is_not_made_before_the_last_is_read() -> None:
    made = 0

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal made
        made += 1
        await big(scope, receive, send)

    unread = UnreadAnswers(MOST, lambda: None)
    async with serving(counted, 60, unread=unread) as server, AsyncExitStack() as stack:
        clients = Clients(server, unread, stack)
        client = await clients.ask()
        client[1].write(2 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await clients.ask()  # by now the server has seen the others
        assert made == 2
        assert await reads(client)
        for _ in range(2):
            await client[0].readuntil(b"\r\n\r\n")
            assert await reads(client)
        assert made == 4


async def test_a_refusal_that_waits_for_its_turn_is_still_the_refusal() -> None:
    unread = UnreadAnswers(MOST, lambda: None)
    async with serving(big, 60, unread=unread) as server, AsyncExitStack() as stack:
        reader, writer = client = await Clients(server, unread, stack).ask()
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\nno\r\n"
        )
        assert await reads(client)
        await reader.readuntil(b"\r\n\r\n")
        assert await reads(client)
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 400 ")
