"""Proxies between the processes and their servers, one for each edge, that can be made to behave badly at run time.

All of them live in one thread with an event loop of its own: nothing that the test does holds up what they carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from threading import Thread
from typing import NamedTuple

from tests.support.proxied_connection import BACK, FORTH, Line, Way

HOST = "127.0.0.1"
BOTH = frozenset({FORTH, BACK})


class Trouble(NamedTuple):
    """How an edge behaves.

    `latency_s` and up to `jitter_s` more pass before bytes arrive; in the ways of `silent` nothing arrives until the
    trouble is over; `cut_after` bytes from now each connection is reset; `refusing` resets all, and new ones at once.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    silent: frozenset[Way] = frozenset()
    cut_after: int | None = None
    refusing: bool = False


CALM = Trouble()


class Proxy:
    """Carries connections from a port of its own to `target`. `behave` and `reset` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: int, seed: int) -> None:
        self._loop, self._target, self._rng = loop, target, Random(seed)
        self._lines: set[Line] = set()
        self._trouble = CALM
        self._listener: asyncio.Server | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def connections(self) -> int:
        """Connections that it carries now."""
        return len(self._lines)

    def behave(self, trouble: Trouble) -> None:
        """Behave like this from now on; returns once it does."""
        self._call(lambda: self._change(trouble))

    def reset(self) -> None:
        """Reset every connection, on both sides."""
        self._call(self._reset_all)

    async def open(self) -> None:
        """Listen."""
        self._listener = await self._loop.create_server(self._accept, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and reset what is carried."""
        if self._listener is not None:
            self._listener.close()
        for task in self._opening:
            task.cancel()
        self._reset_all()

    def _call(self, act: Callable[[], None]) -> None:
        async def step() -> None:
            act()

        asyncio.run_coroutine_threadsafe(step(), self._loop).result(10)

    def _change(self, trouble: Trouble) -> None:
        self._trouble = trouble
        if trouble.refusing:
            self._reset_all()
        for line in list(self._lines):
            self._apply(line)

    def _apply(self, line: Line) -> None:
        line.bytes_left = self._trouble.cut_after
        line.silence(self._trouble.silent)

    def _accept(self) -> asyncio.Protocol:
        line = Line(self._loop, self._delay, self._lines.discard)
        if not self._trouble.refusing:
            self._lines.add(line)
            self._apply(line)
            task = self._loop.create_task(self._connect(line))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self._loop.call_soon(line.reset)
        return line.near

    async def _connect(self, line: Line) -> None:
        try:
            await self._loop.create_connection(lambda: line.far, HOST, self._target)
        except OSError:
            line.reset()

    def _delay(self) -> float:
        trouble = self._trouble
        return trouble.latency_s + (self._rng.uniform(0, trouble.jitter_s) if trouble.jitter_s else 0.0)

    def _reset_all(self) -> None:
        for line in list(self._lines):
            line.reset()


class Proxies:
    """The thread in which proxies live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._made: list[Proxy] = []

    def add(self, target: int) -> Proxy:
        """A proxy to this port of this machine, listening."""
        proxy = Proxy(self._loop, target, seed=len(self._made))
        asyncio.run_coroutine_threadsafe(proxy.open(), self._loop).result(10)
        self._made.append(proxy)
        return proxy

    def close(self) -> None:
        """End all of them, and the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for proxy in self._made:
            await proxy.close()
        await asyncio.sleep(0)  # aborted transports say good-bye in the next round
