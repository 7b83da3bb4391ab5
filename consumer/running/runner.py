"""Choose where a handler runs (event loop, thread or child process), and return how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from consumer.attempt import Attempt
from consumer.running.in_loop import EventLoopRunner
from consumer.running.in_thread import ThreadRunner
from consumer.running.process_pool import ProcessPool
from sluice.core.outcome import Ending

GRACE_S = 2.0
"""Seconds that work has to end after it was told to stop."""


class Runner:
    """Every place where a handler can run.

    `modules` are what child processes load; `threads` and `processes` how many places there are of each.
    Work that was told to stop has `grace_s` seconds to end; then its slot is freed without it. `memory_mib` is what each
    process may allocate (0: no bound).
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
        self._loop = EventLoopRunner(grace_s)
        self._threads = ThreadRunner(threads, grace_s)
        self._processes = ProcessPool(modules, processes, grace_s, memory_mib=memory_mib)
        self._solo = ProcessPool(modules, max(2, processes), grace_s, memory_mib=memory_mib, solo=True)

    def __repr__(self) -> str:
        return f"<Runner {self._threads} {self._processes} {self._solo}>"

    @property
    def runaways(self) -> int:
        """Handlers that go on although their attempts are over: threads, and coroutines that refuse to end."""
        return self._threads.runaways + self._loop.runaways

    async def run(self, attempt: Attempt) -> Ending:
        """Run the handler; returns the output's bytes, or the exception that ended it.

        Raises only its own task's CancelledError.
        """
        if attempt.stopped is None:
            ending = await self._choose(attempt)(attempt)
        return attempt.stopped or ending

    async def close(self) -> None:
        """Kill the children and let go of the threads. Bounded."""
        self._threads.close()
        await asyncio.gather(self._processes.close(), self._solo.close())

    def _choose(self, attempt: Attempt) -> Callable[[Attempt], Awaitable[Ending]]:
        if attempt.job.crash_count > 0:
            return self._solo.run
        match attempt.handler.runs_in:
            case "loop":
                return self._loop.run
            case "thread":
                return self._threads.run
            case _:
                return self._processes.run
