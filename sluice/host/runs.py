"""One job in a host: in a task of the event loop, in a thread, or in the main thread of a process of its own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Any

from sluice.core.outcome import Ending, TimedOut
from sluice.handler import AnyHandler
from sluice.handler_io import write_output
from sluice.host.breaking_off import break_off
from sluice.host.current_job import CURRENT
from sluice.host.ending import CANCELLED_ITSELF, INTERRUPTED, Disturbed, NotBegun, raised
from sluice.host.lag import Lag
from sluice.host.performing import Reporter, Request, call

NEAR_S = 0.002
"""Seconds by which timers may fire early."""


class Run(ABC):
    """A job under way. `on_end` is called with how it ended, in the event loop.

    The time limit counts from the start, but not while other handlers hold up the loop: else the time of all runs would be up at
    once, even of those that have ended but could not say so. `slow`: this one was seen to hold it up.
    """

    __slots__ = (
        "_held_up_s",
        "_lag",
        "_loop",
        "_on_end",
        "_timer",
        "begun",
        "handler",
        "report",
        "request",
        "slow",
        "started",
        "stopped",
    )

    def __init__(
        self,
        request: Request,
        handler: AnyHandler,
        loop: asyncio.AbstractEventLoop,
        lag: Lag,
        report: Reporter,
        on_end: Callable[[Run, Ending], None],
    ) -> None:
        self.request, self.handler, self.report = request, handler, report
        self.stopped: BaseException | None = None
        self.begun = self.slow = False
        self._loop, self._on_end = loop, on_end
        self.started = monotonic()
        self._lag, self._held_up_s = lag, lag.held_up_s
        self._timer = loop.call_later(request.time_limit_s, self._expire)

    @abstractmethod
    def start(self) -> None:
        """Begin. Called in the event loop."""

    @abstractmethod
    def mend(self) -> None:
        """Begin or end after all, if what was to do so has been lost. Called now and then in the event loop."""

    def stop(self, why: BaseException) -> None:
        """Ask the work to end; that is then how it ended, whatever the handler returns."""
        if self.stopped is None:
            self.stopped = why
            self._ask()

    def is_stopped(self) -> bool:
        """True once the work was told to end. Safe in every thread."""
        return self.stopped is not None

    @abstractmethod
    def _ask(self) -> None:
        """Tell the work that it should end."""

    def _end(self, ending: Ending) -> None:
        if self.report.ended:
            return
        self._timer.cancel()
        try:
            self.report.ended = True
            self._on_end(self, self.stopped or ending)
        except BaseException as error:  # noqa: BLE001  for lack of memory, say: the ending is lost
            break_off(error)

    def _expire(self) -> None:
        if (left_s := self._left_s()) > NEAR_S:
            self._timer = self._loop.call_later(left_s, self._expire)
        elif not self.begun:
            self._ask()
            self._end(NotBegun())
        else:
            self.stop(TimedOut(f"The time limit of {self.request.time_limit_s:g} s was reached."))

    def _left_s(self) -> float:
        held_up_s = 0.0 if self.slow else self._lag.held_up_s - self._held_up_s
        return self.started + self.request.time_limit_s + held_up_s - monotonic()


class LoopRun(Run):
    """An `async def` handler in its task. A stop cancels the task."""

    __slots__ = ("_task",)

    def start(self) -> None:
        """Begin in a task of its own, and in a context that names the job."""
        context = CURRENT.set(self.request.job)
        self._task: asyncio.Task[None] = self._loop.create_task(self._perform())
        self._task.add_done_callback(self._end_after_all)
        CURRENT.reset(context)

    def mend(self) -> None:
        """End if its task has ended."""
        if self._task.done():
            self._end_after_all(self._task)

    def _ask(self) -> None:
        """Cancel the task."""
        self._task.cancel()

    def _end_after_all(self, _: asyncio.Task[None]) -> None:
        """End a run whose task was cancelled before its first step, or broken off before its ending was told."""
        self._end(Disturbed(INTERRUPTED if self.begun else CANCELLED_ITSELF))

    async def _perform(self) -> None:
        self.begun = True
        try:
            work: Any = call(self.handler, self.request, self.report, self.is_stopped)
            ending: Ending = write_output(self.handler, await work)
        except asyncio.CancelledError as error:
            ending = Disturbed(CANCELLED_ITSELF) if self._task.cancelling() else error
        except BaseException as error:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the host
            ending = raised(error)
        self._end(ending)


class ThreadRun(Run):
    """A plain function in another thread, which can be asked to stop but not forced to.

    `submit` hands it to that thread; there `clean_up` is called before the job is said to have ended.
    """

    __slots__ = ("_clean_up", "_ending", "_handed_over", "_submit", "_taken", "_thread", "_told")

    def __init__(
        self,
        submit: Callable[[Callable[[], None]], Future[None]],
        clean_up: Callable[[], None],
        *arguments: Any,
    ) -> None:
        super().__init__(*arguments)
        self._submit, self._clean_up, self._taken = submit, clean_up, Lock()
        self._handed_over: list[Future[None]] = []
        self._thread: Thread | None = None
        self._ending: Ending = Disturbed(INTERRUPTED)
        self._told = False

    def start(self) -> None:
        """Begin as soon as the thread takes it."""
        try:
            self._hand_over()
        except RuntimeError as error:  # no thread can be started
            self._end(NotBegun(*error.args))

    def mend(self) -> None:
        """Hand it over once more, if a thread that was ended unseen has taken it along, or is still counted upon; or end."""
        if self._told or (self.begun and self._is_left()):
            self._end(self._ending)
        elif not self.begun:
            if self._taken.locked() and self._is_left():
                self._taken = Lock()
            with suppress(RuntimeError):
                self._hand_over()

    def _hand_over(self) -> None:
        self._handed_over.append(self._submit(self._perform))

    def _is_left(self) -> bool:
        """Whether no thread is at it any more, though none has told the end: an error from outside may come between any two steps."""
        if self._thread is not None and not self._thread.is_alive():
            return True
        return all(each.done() for each in self._handed_over) and not self._told

    def _ask(self) -> None:
        """Do nothing: a plain function looks at `is_stopped` itself."""

    def _perform(self) -> None:
        if self.report.ended or not self._taken.acquire(blocking=False):
            return  # a pool keeps even what it had no thread for
        self._thread = current_thread()
        self.begun = True
        try:
            copy_context().run(self._call)
            self._clean_up()
            self._tell_end()
        finally:  # something may raise an error here from outside, at any moment
            if not self._told:
                self._tell_end()

    def _tell_end(self) -> None:
        self._loop.call_soon_threadsafe(self._end, self._ending)
        self._told = True

    def _call(self) -> None:
        try:
            CURRENT.set(self.request.job)
            value = call(self.handler, self.request, self.report, self.is_stopped)
            self._ending = write_output(self.handler, value)
        except BaseException as error:  # noqa: BLE001  as in a task
            self._ending = raised(error)
