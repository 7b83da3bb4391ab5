"""Run handlers in the consumer's own process, where a debugger can reach them. Nothing protects the consumer then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from consumer.attempt import Attempt
from consumer.hosts.hosts import Hosts
from sluice.core.catalogue import KindInfo, describe
from sluice.core.outcome import Ending, Released
from sluice.core.registry import Registry
from sluice.host.ending import Disturbed
from sluice.host.lag import Lag
from sluice.host.loading import load_watched
from sluice.host.performing import Reporter, Request
from sluice.host.runs import LoopRun, Run, ThreadRun

NO_LIMIT_S = 1e9
"""Time limits do not count while somebody looks at a breakpoint."""


class InProcess(Hosts):
    """Runs coroutines in the event loop, and plain functions in the main thread, one at a time."""

    async def open(self) -> Registry[KindInfo]:
        """Load the modules in this process. Raises StartRefused."""
        self._room = asyncio.Event()
        self._room.set()
        self._handlers = load_watched(self._spec.modules)
        return Registry(describe(self._handlers[kind]) for kind in self._handlers)

    async def keep(self) -> None:
        """Do nothing: there are no hosts."""

    async def run(self, attempt: Attempt) -> Ending:
        """Run a job; returns how it ended. Raises only its own task's CancelledError."""
        if attempt.stopped is not None or not await attempt.fetch_input(self._room):
            return attempt.stopped or Released()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Ending] = loop.create_future()

        def end(_: Run, ending: Ending) -> None:
            if not done.done():
                done.set_result(ending.ending if isinstance(ending, Disturbed) else ending)

        run = self._make_run(attempt, loop, end)
        attempt.begin(lambda: run.stop(attempt.stopped or asyncio.CancelledError()))
        run.start()
        try:
            return await done
        except asyncio.CancelledError:
            attempt.stop(Released())
            raise
        finally:
            attempt.on_stop = None

    def _make_run(self, attempt: Attempt, loop: asyncio.AbstractEventLoop, end: Any) -> Run:
        job, handler = attempt.job, self._handlers[attempt.info.kind]
        given, trace = job.input or b"", attempt.traceparent
        request = Request(0, job.id, attempt.info.kind, job.attempt, job.fence, NO_LIMIT_S, given, trace)
        common = request, handler, loop, Lag(loop, lambda: False), Reporter(attempt.report), end
        if handler.runs_in == "loop":
            return LoopRun(*common)

        def hand_over(work: Callable[[], None]) -> Future[None]:
            loop.call_soon(work)
            return Future()  # nobody asks: no error comes from another thread here

        return ThreadRun(hand_over, lambda: None, *common)
