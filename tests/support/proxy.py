"""Proxies between processes and their servers that can be made to misbehave at run time.

All of them run in one thread with an event loop of its own, so that nothing a test does holds up what they carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from threading import Thread
from typing import NamedTuple

from tests.support.proxied_connection import TO_CLIENT, TO_SERVER, Direction, ProxiedConnection

HOST = "127.0.0.1"
BOTH = frozenset({TO_SERVER, TO_CLIENT})


class Behaviour(NamedTuple):
    """How a proxy behaves.

    `latency_s` and up to `jitter_s` more pass before bytes arrive; in the directions of `silent` nothing arrives until the
    behaviour changes; after `cut_after` more bytes each connection is reset; `refusing` resets all, and new ones at once.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    silent: frozenset[Direction] = frozenset()
    cut_after: int | None = None
    refusing: bool = False


NORMAL = Behaviour()


class Proxy:
    """Carries connections from a port of its own to `target`. `behave`, `lead_to` and `reset` may be called from any thread.

    `accepted` counts the connections that reached the server; `counted` how often clients sent the bytes `counting`.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, target: int, seed: int, counting: bytes = b""
    ) -> None:
        self._loop, self._target, self._rng, self._counting = loop, target, Random(seed), counting
        self.accepted = self.counted = 0
        self._connections: set[ProxiedConnection] = set()
        self._behaviour = NORMAL
        self._listener: asyncio.Server | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def connections(self) -> int:
        """Return how many connections it carries now."""
        return len(self._connections)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave like this from now on; return once it does."""
        self._call(lambda: self._change(behaviour))

    def lead_to(self, target: int) -> None:
        """Carry new connections to this port from now on."""
        self._target = target

    def reset(self) -> None:
        """Reset every connection, on both sides."""
        self._call(self._reset_all)

    async def open(self) -> None:
        """Start to listen."""
        self._listener = await self._loop.create_server(self._accept, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and reset every connection."""
        if self._listener is not None:
            self._listener.close()
        for task in self._opening:
            task.cancel()
        self._reset_all()

    def _call(self, act: Callable[[], None]) -> None:
        async def step() -> None:
            act()

        asyncio.run_coroutine_threadsafe(step(), self._loop).result(10)

    def _change(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        if behaviour.refusing:
            self._reset_all()
        for connection in list(self._connections):
            self._apply(connection)

    def _apply(self, connection: ProxiedConnection) -> None:
        connection.bytes_left = self._behaviour.cut_after
        connection.silence(self._behaviour.silent)

    def _accept(self) -> asyncio.Protocol:
        connection = ProxiedConnection(self._loop, self._delay, self._count, self._connections.discard)
        if not self._behaviour.refusing:
            self._connections.add(connection)
            self._apply(connection)
            task = self._loop.create_task(self._connect(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self._loop.call_soon(connection.reset)
        return connection.client

    async def _connect(self, connection: ProxiedConnection) -> None:
        try:
            await self._loop.create_connection(lambda: connection.server, HOST, self._target)
            self.accepted += 1
        except OSError:
            connection.reset()

    def _count(self, direction: Direction, data: bytes) -> None:
        if self._counting and direction == TO_SERVER:
            self.counted += data.count(self._counting)

    def _delay(self) -> float:
        behaviour = self._behaviour
        return behaviour.latency_s + (self._rng.uniform(0, behaviour.jitter_s) if behaviour.jitter_s else 0.0)

    def _reset_all(self) -> None:
        for connection in list(self._connections):
            connection.reset()


class Proxies:
    """The thread that proxies run in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._made: list[Proxy] = []

    def add(self, target: int, counting: bytes = b"") -> Proxy:
        """Open a proxy to this port of this machine, which counts these bytes."""
        proxy = Proxy(self._loop, target, len(self._made), counting)
        asyncio.run_coroutine_threadsafe(proxy.open(), self._loop).result(10)
        self._made.append(proxy)
        return proxy

    def close(self) -> None:
        """Close all of them, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for proxy in self._made:
            await proxy.close()
        await asyncio.sleep(0)  # aborted transports close in the next round of the loop
