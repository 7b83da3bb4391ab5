"""Threads that can be abandoned: a handler that ignores its time limit must not occupy a place for ever.

Unlike an executor's, these are daemons, so that a handler that never returns cannot keep the process from ending.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

LOG = logging.getLogger("sluice.threads")


class ThreadPool:
    """Up to `size` threads, started as they are needed. Every method belongs to the loop's thread.

    A thread whose work does not end in time is a runaway: another takes its place until it has ended. There are at most
    `size` of these; then work waits for a thread as in any pool. `runaways` counts them.
    """

    def __init__(self, name: str, size: int) -> None:
        self.runaways = 0
        self._name = name
        self._size = size
        self._busy = 0
        self._alive = 0
        self._work: SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None] = SimpleQueue()

    def __repr__(self) -> str:
        return f"<ThreadPool {self._name}: {self._busy} busy, {self.runaways} runaways, {self._alive} of {self._size}>"

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work`, which must not raise, as soon as a thread is free."""
        self._busy += 1
        if self._alive < min(self._busy, self._size + min(self.runaways, self._size)):
            self._alive += 1
            Thread(target=self._serve, name=f"{self._name}-{self._alive}", daemon=True).start()
        self._work.put((asyncio.get_running_loop(), work))

    def add_runaway(self) -> None:
        """Count a thread that did not end in time."""
        self.runaways += 1
        LOG.warning("%d of %d threads ran past their time limit and still run", self.runaways, self._size)

    def remove_runaway(self) -> None:
        """Uncount a thread that has ended its work after all."""
        self.runaways -= 1

    def close(self) -> None:
        """Let idle threads end; busy ones end after their work, or with the process."""
        for _ in range(self._alive):
            self._work.put(None)

    def _serve(self) -> None:
        while (each := self._work.get()) is not None:
            loop, work = each
            work()
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._count_ended)

    def _count_ended(self) -> None:
        self._busy -= 1
