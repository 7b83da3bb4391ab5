"""Background tasks: keep them while they run, report how they fail, restart them, and cancel them until they have ended.

Whatever fails in an event loop without anybody waiting for it goes to the loop's exception handler: failed tasks, and
callbacks of timers, sockets and drivers. `report_failures` makes all of that an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from traceback import extract_tb
from typing import Any, Generic, TypeVar

from sluice.core.runtime.telemetry import Event, Telemetry

AGAIN_S = 0.5
"""Seconds for a task to clean up before it is cancelled again."""
RESTART_S = 1.0
"""Seconds until a task that has failed is restarted."""

T = TypeVar("T")


class TaskSet(Generic[T]):
    """Holds background tasks: asyncio keeps only weak references, so a task that nobody holds may vanish while it runs.

    One that fails is reported; then `on_failure` is called with its name and its error.
    """

    __slots__ = ("_on_failure", "_tasks")

    def __init__(self, on_failure: Callable[[str, BaseException], object] = lambda name, error: None) -> None:
        self._tasks: set[asyncio.Task[T]] = set()
        self._on_failure = on_failure

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[T]]:
        return iter(tuple(self._tasks))

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run this in the background, and hold it until it has ended."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def keep(
        self, work: Callable[[], Coroutine[Any, Any, T]], name: str, pause_s: float = RESTART_S
    ) -> asyncio.Task[T]:
        """Run this in the background for ever: if it fails, that is reported, and it begins anew."""
        return self.start(_restart(work, name, pause_s), name)

    async def drain(self) -> None:
        """Wait until none is left, those included that are started meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel all, and return when they have ended."""
        await cancel_and_wait(self)

    def _end(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            report_failure(task.get_name(), error)
            self._on_failure(task.get_name(), error)


def report_failures(telemetry: Telemetry) -> None:
    """Report whatever fails unseen in this event loop from now on."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error, failed = context.get("exception"), context.get("task") or context.get("future")
        if error is None or (failed is not None and not isinstance(failed, asyncio.Task)):
            loop.default_exception_handler(context)
            return
        name = context["message"] if failed is None else failed.get_name()
        telemetry.emit(Event.TASK_FAILED, task=name, why=repr(error), where=_innermost(error))

    asyncio.get_running_loop().set_exception_handler(handle)


def report_failure(name: str, error: BaseException) -> None:
    """Report that something has failed for which nobody waits."""
    asyncio.get_running_loop().call_exception_handler({"message": name, "exception": error})


async def _restart(work: Callable[[], Coroutine[Any, Any, T]], name: str, pause_s: float) -> T:
    while True:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001  whatever it is, what it does has to go on
            report_failure(name, error)
        await asyncio.sleep(pause_s)


def _innermost(error: BaseException) -> str:
    """Name the line that raised an error."""
    frames = extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


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
