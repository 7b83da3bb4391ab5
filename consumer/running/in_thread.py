"""Run plain functions in threads, which can be asked to stop but not forced to."""

from __future__ import annotations

import asyncio

from consumer.attempt import Attempt, call_handler
from consumer.running.thread_pool import ThreadPool
from consumer.running.time_limit import TimeLimit
from sluice.core.outcome import Ending, Released
from sluice.handler_io import write_output


class ThreadRunner:
    """Runs handlers in up to `size` threads. `runaways` counts those that go on although their attempts are over."""

    def __init__(self, size: int, grace_s: float) -> None:
        self._grace_s = grace_s
        self._threads = ThreadPool("handler", size)

    def __repr__(self) -> str:
        return repr(self._threads)

    @property
    def runaways(self) -> int:
        """Threads whose work did not end in time."""
        return self._threads.runaways

    async def run(self, attempt: Attempt) -> Ending:
        """Run the handler; returns the output's bytes, or the exception that ended it."""
        run = ThreadRun(attempt, self._threads, self._grace_s)
        self._threads.submit(run.perform)
        try:
            return await attempt.wait_for(run.done)
        finally:
            run.leave()

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()


class ThreadRun:
    """One handler in its thread. A stop asks it to end; if it goes on, the attempt ends without it."""

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
            ending: Ending = write_output(self._attempt.handler, call_handler(self._attempt))
        except BaseException as error:  # noqa: BLE001  sys.exit() in a handler ends the attempt, not the thread
            ending = error
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, ending)

    def leave(self) -> None:
        """Let the attempt end, with or without its thread."""
        self._timer.cancel()
        self._attempt.on_stop = None
        if self._running and not self._abandoned:
            self._abandoned = True
            self._threads.add_runaway()

    def _stop(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._grace_s if self._running else 0, self._end, Released())

    def _finish(self, ending: Ending) -> None:
        self._running = False
        if self._abandoned:
            self._threads.remove_runaway()
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        if not self.done.done():
            self.done.set_result(ending)
