"""Run `async def` handlers in the event loop, each in its own task."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from typing import Any

from consumer.attempt import Attempt, call_handler
from consumer.running.time_limit import TimeLimit
from sluice.core.outcome import Ending, Released
from sluice.handler_io import write_output

LOG = logging.getLogger("sluice.runner")


class EventLoopRunner:
    """Runs handlers in the loop. `runaways` counts those that could be neither cancelled nor closed."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._unclosable: list[Coroutine[Any, Any, Any]] = []

    @property
    def runaways(self) -> int:
        """Coroutines that refuse to end."""
        return len(self._unclosable)

    async def run(self, attempt: Attempt) -> Ending:
        """Run the handler; returns the output's bytes, or the exception that ended it."""
        run = LoopRun(attempt, self._grace_s, self._unclosable)
        try:
            return await run.done
        finally:
            run.leave()


class LoopRun:
    """One handler in its task. A stop cancels the task; if that does not end it in time, it is cut off."""

    __slots__ = ("_attempt", "_begun", "_grace_s", "_loop", "_task", "_timer", "_unclosable", "_work", "done")

    def __init__(self, attempt: Attempt, grace_s: float, unclosable: list[Coroutine[Any, Any, Any]]) -> None:
        self._attempt = attempt
        self._grace_s = grace_s
        self._unclosable = unclosable
        self._loop = asyncio.get_running_loop()
        self._begun = False
        self._work: Coroutine[Any, Any, Any] | None = None
        self.done: asyncio.Future[Ending] = self._loop.create_future()
        self._task = self._loop.create_task(self._perform())
        self._timer: TimeLimit | asyncio.TimerHandle = TimeLimit(attempt, self._loop)
        attempt.on_stop = self._stop

    def leave(self) -> None:
        """End what is still running: nobody waits for it any more."""
        self._timer.cancel()
        self._attempt.on_stop = None
        if not self._task.done():
            self._task.cancel()

    async def _perform(self) -> None:
        self._begun = True
        try:
            self._work = call_handler(self._attempt)
            self._end(write_output(self._attempt.handler, await self._work))
        except BaseException as error:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the process
            self._end(error)

    def _end(self, ending: Ending) -> None:
        if not self.done.done():
            self.done.set_result(ending)

    def _stop(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._grace_s, self._cut_off)
        self._task.cancel()
        if not self._begun:
            self._end(
                Released()
            )  # a task that is cancelled before its first step does not even enter `_perform`

    def _cut_off(self) -> None:
        """End a handler that swallowed its cancellation; keep one that cannot even be closed, and say so."""
        self._end(Released())
        self._task.get_coro().close()  # `_perform` catches whatever the handler makes of that
        self._task.cancel()  # wakes the task, which finds that its coroutine has ended
        self._task.add_done_callback(_look_at)
        if self._work is not None and inspect.getcoroutinestate(self._work) != inspect.CORO_CLOSED:
            self._unclosable.append(self._work)
            LOG.warning("%d coroutines refuse to end: %s", len(self._unclosable), self._work)


def _look_at(task: asyncio.Task[None]) -> None:
    """Retrieve the task's error, or asyncio would log that nobody did."""
    if not task.cancelled():
        task.exception()
