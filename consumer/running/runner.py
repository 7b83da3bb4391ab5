"""Runs one handler, in the loop, a thread or a child process, under its time limit, and returns how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, cast

from consumer.attempt import Attempt
from consumer.running.process_pool import ProcessPool
from consumer.running.thread_pool import ThreadPool
from consumer.running.time_limit import TimeLimit
from sluice.core.outcome import Ending, Released, words
from sluice.handler_io import read_input, write_output

LOG = logging.getLogger("sluice.runner")
GRACE_S = 2.0


class Runner:
    """Every place where a handler can run.

    `modules` are what child processes load; `threads` and `processes` how many places there are of each.
    `grace_s` is how long work that was told to stop is waited for before its slot goes on without it, `memory_mib` what
    each process may allocate (0: no bound).
    """

    def __init__(
        self,
        modules: Sequence[str],
        threads: int,
        processes: int,
        *,
        grace_s: float = GRACE_S,
        memory_mib: int = 0,
    ) -> None:
        self._grace_s = grace_s
        self._stuck: list[Coroutine[Any, Any, Any]] = []
        self._threads = ThreadPool("handler", threads)
        self._children = ProcessPool(modules, processes, grace_s, memory_mib=memory_mib)
        self._solo = ProcessPool(modules, max(2, processes), grace_s, memory_mib=memory_mib, solo=True)

    def __repr__(self) -> str:
        return f"<Runner {self._threads} {self._children} {self._solo}>"

    @property
    def runaways(self) -> int:
        """Handlers that go on although their attempts are over: threads, and coroutines that refuse to end."""
        return self._threads.runaways + len(self._stuck)

    async def run(self, attempt: Attempt) -> Ending:
        """The output's bytes, or the exception that ended the attempt. Raises only its own task's CancelledError."""
        if attempt.stopped is None:
            ending = await self._place_of(attempt)(attempt)
        return attempt.stopped or ending

    async def close(self) -> None:
        """Kill the children and let go of the threads. Bounded."""
        self._threads.close()
        await asyncio.gather(self._children.close(), self._solo.close())

    def _place_of(self, attempt: Attempt) -> Callable[[Attempt], Awaitable[Ending]]:
        if attempt.job.crash_count > 0:
            return self._solo.run
        match attempt.handler.runs_in:
            case "loop":
                return self._run_in_loop
            case "thread":
                return self._run_in_thread
            case _:
                return self._children.run

    async def _run_in_loop(self, attempt: Attempt) -> Ending:
        run = LoopRun(attempt, self._grace_s)
        try:
            work = call(attempt)
            return write_output(attempt.handler, await drive(work, run))
        except BaseException as error:
            if run.abandoned:
                self._let_go(work)
            if isinstance(error, asyncio.CancelledError) and run.others_cancelled:
                raise
            return error
        finally:
            run.finish()

    def _let_go(self, work: Coroutine[Any, Any, Any]) -> None:
        """End a coroutine that swallowed its cancellation; keep what cannot even be closed, and say so."""
        try:
            work.close()
        except BaseException as error:  # noqa: BLE001  its own code runs here
            self._stuck.append(work)
            LOG.warning("%d coroutines refuse to end: %s: %s", len(self._stuck), work, words(error))

    async def _run_in_thread(self, attempt: Attempt) -> Ending:
        request = ThreadRun(attempt, self._threads, self._grace_s)
        self._threads.submit(request.perform)
        try:
            return await request.done
        except asyncio.CancelledError:
            attempt.stop(Released())
            raise
        finally:
            request.leave()


def call(attempt: Attempt) -> Any:
    """Call the handler: its output, or for `async def` the coroutine. Raises BadInput, and what the handler raises."""
    handler = attempt.handler
    value = read_input(handler, attempt.job.input)
    return handler.function(value, attempt.context()) if handler.takes_context else handler.function(value)


class LoopRun:
    """Holds a handler in the loop to its time limit: first its task is cancelled, then it is cut off.

    The handler runs in the task of the caller, which spares a second task per job.
    """

    __slots__ = ("_attempt", "_cancels", "_grace_s", "_loop", "_task", "_timer", "abandoned")

    def __init__(self, attempt: Attempt, grace_s: float) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.abandoned = False
        self._attempt = attempt
        self._grace_s = grace_s
        self._task = task
        self._cancels = 0
        self._loop = task.get_loop()
        self._timer: TimeLimit | asyncio.TimerHandle = TimeLimit(attempt, self._loop)
        attempt.on_stop = self.request_stop

    def request_stop(self) -> None:
        """Cancel; if that does not help in time, cut."""
        self._timer.cancel()
        self._timer = self._loop.call_later(self._grace_s, self._abandon)
        self._cancel()

    def finish(self) -> None:
        """The work is over: take back what we asked of the task."""
        self._timer.cancel()
        self._attempt.on_stop = None
        for _ in range(self._cancels):
            self._task.uncancel()

    @property
    def others_cancelled(self) -> bool:
        """True where the task was cancelled by somebody else too."""
        return self._task.cancelling() > self._cancels

    def _abandon(self) -> None:
        self.abandoned = True
        self._cancel()

    def _cancel(self) -> None:
        self._cancels += 1
        self._task.cancel()


@coroutine
def drive(work: Coroutine[Any, Any, Any], run: LoopRun) -> Generator[Any, Any, Any]:
    """`await work`, until the leash is cut: then the cancellation is not handed on to what swallows it."""
    step: Callable[[Any], Any] = work.send
    argument: Any = None
    while True:
        try:
            wish = step(argument)
        except StopIteration as end:
            return end.value
        try:
            argument = yield wish
            step = work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            if run.abandoned:
                raise
            step, argument = work.throw, error


class ThreadRun:
    """An attempt on its way through a thread. Stopping is asking: a thread cannot be ended from outside."""

    def __init__(self, attempt: Attempt, threads: ThreadPool, grace_s: float) -> None:
        self._attempt = attempt
        self._threads = threads
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._running = self._abandoned = False
        self.done: asyncio.Future[Ending] = self._loop.create_future()
        attempt.waiting = True
        attempt.on_stop = self._stop
        self._timer: TimeLimit | asyncio.TimerHandle = TimeLimit(attempt, self._loop)

    def perform(self) -> None:
        """Run the handler. Called in a thread of the pool; never raises."""
        if self._attempt.stopped is not None:
            return
        self._running = True
        self._attempt.begin()
        try:
            ending: Ending = write_output(self._attempt.handler, call(self._attempt))
        except BaseException as error:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the thread
            ending = error
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, ending)

    def leave(self) -> None:
        """The flow goes on, with or without the thread."""
        self._timer.cancel()
        self._attempt.on_stop = None
        if self._running and not self._abandoned:
            self._abandoned = True
            self._threads.give_up()

    def _stop(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._grace_s if self._running else 0, self._settle, Released())

    def _end(self, ending: Ending) -> None:
        self._running = False
        if self._abandoned:
            self._threads.came_back()
        self._settle(ending)

    def _settle(self, ending: Ending) -> None:
        if not self.done.done():
            self.done.set_result(ending)
