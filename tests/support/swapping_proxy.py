"""A proxy before Redis that gives a client the reply another one waits for, as a driver does that has lost count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from tests.support.proxy import HOST

HELD_S = 0.02
"""Seconds that a reply waits for another one to be exchanged with."""
LARGEST = 1 << 20


class Held(NamedTuple):
    """A reply that waits to be exchanged."""

    to: asyncio.StreamWriter
    reply: bytes


class SwappingProxy:
    """Carries connections to `target`; while `kinds` is not empty, replies that begin with one of its bytes are exchanged.

    `swapped` counts the exchanges. Subscriptions are left alone.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.kinds, self.port, self.swapped = b"", 0, 0
        self._held: Held | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscribed: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, target: int) -> AsyncIterator[SwappingProxy]:
        """Listen while the block runs."""
        proxy = cls(target)
        listener = await asyncio.start_server(proxy._carry, HOST, 0)
        proxy.port = listener.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            listener.close()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._target)
        both = [
            asyncio.create_task(each)
            for each in (self._send(reader, back, writer), self._answer(there, writer))
        ]
        self._tasks.update(both)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            for each in (writer, back):
                each.close()
            self._tasks.difference_update(both)

    async def _send(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(LARGEST):
                if b"SUBSCRIBE" in data:
                    self._subscribed.add(client)
                server.write(data)

    async def _answer(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(LARGEST):
                self._exchange(client, data)

    def _exchange(self, client: asyncio.StreamWriter, reply: bytes) -> None:
        if reply[:1] not in {bytes([each]) for each in self.kinds} or client in self._subscribed:
            client.write(reply)
            return
        held, self._held = self._held, Held(client, reply)
        if held is None or held.to is client:
            asyncio.get_running_loop().call_later(HELD_S, self._give_up, self._held)
            return
        self._held = None
        client.write(held.reply)
        held.to.write(reply)
        self.swapped += 1

    def _give_up(self, held: Held) -> None:
        """Deliver it to whom it belongs: no other came."""
        if self._held is held:
            self._held = None
            held.to.write(held.reply)
