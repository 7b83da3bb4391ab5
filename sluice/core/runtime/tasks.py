"""Background tasks: keep them while they run, repeat them for ever, and cancel them until they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, Generic, TypeVar

AGAIN_S = 0.5
"""Seconds for a task to clean up before it is cancelled again."""

T = TypeVar("T")


class TaskSet(Generic[T]):
    """Holds background tasks: asyncio keeps only weak references, so a task that nobody holds may vanish while it runs."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[T]]:
        return iter(tuple(self._tasks))

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run this in the background, and hold it until it has ended."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Wait until none is left, those included that are started meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel all, and return when they have ended."""
        await cancel_and_wait(self)


async def repeat(act: Callable[[], Awaitable[object]], pause_s: Callable[[], float] | float) -> None:
    """Do this for ever, at once and then after rests of `pause_s` seconds. Raises what `act` raises."""
    while True:
        await act()
        await asyncio.sleep(pause_s() if callable(pause_s) else pause_s)


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]], again_s: float = AGAIN_S) -> None:
    """Cancel these and return when all have ended, however they did.

    Once is not enough: `asyncio.wait_for` of Python 3.11, with which redis-py writes, loses a cancellation that comes at
    the very moment its work is done, and the task would go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=again_s)
        for task in ended:
            if not task.cancelled():
                task.exception()  # retrieved, or asyncio complains that it never was
