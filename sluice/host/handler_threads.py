"""The threads in which plain functions run: short ones that come together share a thread, those that wait have one each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import TypeAlias


class HandlerThread(Thread):
    """Calls `serve` each time it is woken. `at` is the work that it is doing."""

    def __init__(self, name: str, begin: Callable[[], None], serve: Callable[[HandlerThread], None]) -> None:
        super().__init__(name=name)
        self._begin, self._serve, self._woken = begin, serve, Lock()
        self._woken.acquire()
        self.at: Work | None = None

    def wake(self) -> None:
        """Let it serve once more."""
        self._woken.release()

    def run(self) -> None:
        """Serve for ever."""
        self._begin()
        while True:
            self._woken.acquire()
            self._serve(self)


Work: TypeAlias = Callable[[HandlerThread | None], None]
"""Called with the thread that does it."""


class HandlerThreads:
    """Threads, as many as are needed at once. `on_start` is called in each.

    To wake one costs more than a short job. So one is woken for whatever comes in one turn of the loop, and as it takes the first
    of several, it asks the loop for help. That can answer once the thread waits for something, or has run for as long as Python
    lets one: then as many are woken as there are at work. All but `_serve` belongs to the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_start: Callable[[], None]) -> None:
        self._loop, self._on_start = loop, on_start
        self._waiting: deque[Work] = deque()
        self._idle: list[HandlerThread] = []
        self._coming: set[HandlerThread] = set()
        self._asked = False
        self._started = 0

    def submit(self, work: Work) -> None:
        """Have this done soon. Raises RuntimeError if no thread can be started."""
        self._waiting.append(work)
        if not self._coming:
            self._wake(1)

    def mend(self) -> None:
        """Count on no thread any more that was ended from outside, nor on what it asked for. Called now and then."""
        self._coming = {each for each in self._coming if each.is_alive()}
        self._help()

    def _help(self) -> None:
        """Wake threads for work that waits, if it does."""
        self._asked = False
        left, at_work = len(self._waiting) - len(self._coming), self._started - len(self._idle)
        with suppress(RuntimeError):  # it waits for one that is at work
            self._wake(min(left, max(1, at_work)))

    def _wake(self, most: int) -> None:
        for _ in range(most):
            thread = self._idle.pop() if self._idle else self._start()
            self._coming.add(thread)
            thread.wake()

    def _start(self) -> HandlerThread:
        thread = HandlerThread(f"handler-{self._started}", self._on_start, self._serve)
        thread.start()
        self._started += 1
        return thread

    def _serve(self, thread: HandlerThread) -> None:
        """Do what waits. Called in this thread; an error from outside may come between any two steps, and end it."""
        self._coming.discard(thread)
        with suppress(IndexError):  # nothing is left
            while True:
                thread.at = self._waiting.popleft()
                if self._waiting and not (self._coming or self._asked):
                    self._asked = True
                    self._loop.call_soon_threadsafe(self._help)
                with suppress(BaseException):
                    thread.at(thread)
        thread.at = None
        self._idle.append(thread)
