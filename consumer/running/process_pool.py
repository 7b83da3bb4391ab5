"""Pools of child processes, one job in each process at a time.

Our own, because the death of a child must be noticed at once, whatever its exit status, and must never leave a shared
lock held: here nothing is shared between children, and the end of one is the end of its pipe.
"""

from __future__ import annotations

import asyncio
import atexit
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock

from consumer.attempt import Attempt
from consumer.running.child_main import JobRequest
from consumer.running.child_process import ChildProcess, NotBegun
from consumer.running.thread_pool import ThreadPool
from consumer.running.time_limit import TimeLimit
from sluice.core.outcome import Ending, Released

STARTS = 2
"""How often a child is started for a job before its attempt fails."""


class PooledRun:
    """One attempt in a child, as seen from the event loop and from the thread that talks to the child."""

    def __init__(self, attempt: Attempt, request: JobRequest) -> None:
        self.attempt = attempt
        self.request = request
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Ending] = self.loop.create_future()
        self._timer: asyncio.TimerHandle | TimeLimit | None = None
        self._child: ChildProcess | None = None
        self._lock = Lock()

    def attach(self, child: ChildProcess | None) -> None:
        """Let a stop kill this child from now on. Called in the thread."""
        with self._lock:
            self._child = child
            if child is not None and self.attempt.stopped is not None:
                child.kill()

    def stop(self, grace_s: float) -> None:
        """Kill the child; if there is none yet, or it cannot be killed in time, go on without it."""
        with self._lock:
            if self._child is not None:
                self._child.kill()
        self._set_timer(grace_s if self._child else 0, self._end, Released())

    def begin(self) -> None:
        """Let the time limit count from now. Called in the thread."""
        self._call(self._begin)

    def end(self, ending: Ending) -> None:
        """End the attempt with this. Called in the thread."""
        self._call(self._end, ending)

    def cancel_timer(self) -> None:
        """Cancel the time limit, or the wait for the end of a killed child."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, ending: Ending) -> None:
        self.cancel_timer()
        if not self.done.done():
            self.done.set_result(ending)

    def _begin(self) -> None:
        if not self.done.done() and self.attempt.stopped is None:
            self.attempt.begin()
            self.cancel_timer()
            self._timer = TimeLimit(self.attempt, self.loop)

    def _set_timer(self, seconds: float, act: Callable[..., None], *arguments: object) -> None:
        self.cancel_timer()
        self._timer = self.loop.call_later(seconds, act, *arguments)

    def _call(self, act: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self.loop.call_soon_threadsafe(act, *arguments)


class ProcessPool:
    """Up to `size` child processes, started as they are needed; each serves many jobs, or (`solo`) just one.

    `memory_mib` is what each of them may allocate; 0: no bound.
    """

    def __init__(
        self, modules: Sequence[str], size: int, grace_s: float, *, memory_mib: int = 0, solo: bool = False
    ) -> None:
        self._modules = tuple(modules)
        self._memory_mib = memory_mib
        self._grace_s = grace_s
        self._solo = solo
        self._threads = ThreadPool("solo" if solo else "children", size)
        self._idle: deque[ChildProcess] = deque()
        self._all: set[ChildProcess] = set()
        self._runs: set[PooledRun] = set()

    def __repr__(self) -> str:
        return f"<ProcessPool: {len(self._runs)} jobs in hand, {len(self._all)} processes>"

    async def run(self, attempt: Attempt) -> Ending:
        """Run it in a child. The time limit counts from the moment the child begins."""
        job = attempt.job
        run = PooledRun(
            attempt, JobRequest(attempt.handler.kind, job.id, job.attempt, job.fence, job.input or b"")
        )
        attempt.waiting = True
        attempt.on_stop = lambda: run.stop(self._grace_s)
        self._runs.add(run)
        self._threads.submit(lambda: self._acquire_and_run(run))
        try:
            return await attempt.wait_for(run.done)
        finally:
            attempt.on_stop = None
            run.cancel_timer()
            self._runs.discard(run)

    async def close(self) -> None:
        """Stop what is running, and kill every child."""
        for run in tuple(self._runs):
            run.attempt.stop(Released())
        self._threads.close()
        self.kill_all()
        atexit.unregister(self.kill_all)
        while self._idle:
            await asyncio.to_thread(self._retire, self._idle.pop())

    def kill_all(self) -> None:
        """Leave no child behind."""
        for child in tuple(self._all):
            child.kill()

    def _acquire_and_run(self, run: PooledRun) -> None:
        """Find or start a child and run the job on it. Called in a thread of the pool; never raises."""
        why: Exception | None = None
        for _ in range(STARTS):
            if run.attempt.stopped is not None:
                return run.end(run.attempt.stopped)
            try:
                return self._run_on(run, self._take())
            except (NotBegun, OSError) as error:
                why = error
            except Exception as error:  # noqa: BLE001  the thread must live on, and the flow must be answered
                return run.end(error)
        return run.end(RuntimeError(f"No process could be had for the job: {why}"))

    def _run_on(self, run: PooledRun, child: ChildProcess) -> None:
        run.attach(child)
        try:
            ending = child.perform(run.request, run.begin, run.attempt)
        except BaseException:
            run.attach(None)
            self._retire(child)
            raise
        run.attach(None)
        run.end(ending)
        self._put_back(child)

    def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            self._retire(child)
        if not self._all:
            atexit.register(self.kill_all)
        child = ChildProcess(self._modules, self._memory_mib)
        child.start()
        self._all.add(child)
        return child

    def _put_back(self, child: ChildProcess) -> None:
        if self._solo or not child.usable:
            self._retire(child)
        else:
            self._idle.append(child)

    def _retire(self, child: ChildProcess) -> None:
        child.retire()
        self._all.discard(child)
