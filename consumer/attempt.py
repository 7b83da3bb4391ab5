"""One claimed job in hand: what hosts, leases and flow know about it while it runs.

Made for every job that runs, so it is slotted and cheap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from sluice.core.catalogue import KindInfo
from sluice.core.job import Job
from sluice.core.job_log import JobLog
from sluice.core.outcome import Released, TimedOut
from sluice.core.runtime.tracing import SpanContext
from sluice.errors import AttemptEnded

InputReader = Callable[[str, asyncio.Event], Awaitable[bytes]]


class Attempt:
    """A job, its kind and how the run is going.

    `started` is the monotonic time from which the time limit counts: that of the claim or, if no host was free, of the
    moment one was found (`waiting` is true until then). `time_limit_s` is the smaller of the kind's and the job's.
    `stopped` is why the work was told to end, if it was; that is then the ending, whatever the handler returns.
    A long input is not in the job: `read_input` reads it when a host is found.
    `stored` is the progress that the record has, `log` what the handler has logged for its client. `cancel_reported` and `overdue_reported` note what the lease has told.
    `span` is what names it in its trace, if it is traced. `traceparent` is what its handler sees; empty: there is no trace.
    """

    __slots__ = (
        "_has_long_input",
        "_read_input",
        "cancel_reported",
        "claim",
        "info",
        "job",
        "log",
        "on_line",
        "on_stop",
        "overdue_reported",
        "progress",
        "span",
        "started",
        "stopped",
        "stored",
        "time_limit_s",
        "traceparent",
        "waiting",
    )

    def __init__(self, job: Job, info: KindInfo, read_input: InputReader | None = None) -> None:
        self.job = job
        self._read_input, self._has_long_input = read_input, job.input is None and read_input is not None
        self.info = info
        self.claim = job.claim
        limit = info.timeout_s
        self.time_limit_s = limit if job.timeout_s is None else min(limit, job.timeout_s)
        self.started = monotonic()
        self.waiting = self.cancel_reported = self.overdue_reported = False
        self.progress: bytes | None = None
        self.stored: bytes | None = None
        self.log: JobLog | None = None
        self.on_line: Callable[[Attempt], object] | None = None
        self.stopped: AttemptEnded | None = None
        self.on_stop: Callable[[], object] | None = None
        self.span: SpanContext | None = None
        self.traceparent = job.traceparent or ""

    def __repr__(self) -> str:
        state = f"stopped: {self.stopped!r}" if self.stopped else "waiting" if self.waiting else "running"
        return (
            f"<Attempt {self.job.attempt} of {self.job.kind} {self.job.id}, fence {self.job.fence}, {state}>"
        )

    @property
    def new_progress(self) -> bytes | None:
        """Progress that the record has not seen yet."""
        return None if self.progress is self.stored else self.progress

    def stop(self, why: AttemptEnded) -> None:
        """End the work: ask it to, or kill it if it has a process to itself. The first reason counts."""
        if self.stopped is None:
            self.stopped = why
            if self.on_stop is not None:
                self.on_stop()

    def cancel(self) -> None:
        """Stop because a client asked for it."""
        self.stop(Released("cancelled"))

    def lose_lease(self) -> None:
        """Stop because the lease is over, or could not be renewed in time."""
        self.stop(Released("the lease is over"))

    def time_out(self) -> None:
        """Stop because the time limit has come."""
        self.stop(TimedOut(f"The time limit of {self.time_limit_s:g} s was reached."))

    def late_s(self, now: float) -> float:
        """Return for how many seconds it has been in hand beyond its time limit; negative before."""
        return -self.time_limit_s if self.waiting else now - self.started - self.time_limit_s

    def report(self, progress: bytes) -> None:
        """Keep the newest progress, as JSON, which the lease fetches."""
        self.progress = progress

    def add_line(self, line: bytes) -> None:
        """Add a line to what its client may read of this attempt."""
        if self.log is None:
            self.log = JobLog()
        self.log.add(line)
        if self.on_line is not None:
            self.on_line(self)

    def begin(self, on_stop: Callable[[], object]) -> None:
        """Count the time limit from now: a host has it. `on_stop` is called to end the work."""
        self.started = monotonic()
        self.on_stop = on_stop
        if self._has_long_input:  # it is sent in this turn of the loop
            asyncio.get_running_loop().call_soon(self.drop_input)

    async def fetch_input(self, room: asyncio.Event) -> bool:
        """Have the input at hand, once there is room for it where it goes; false if the attempt was stopped meanwhile."""
        if self._read_input is None or self.job.input is not None:
            return True
        self.waiting = True
        try:
            async with asyncio.timeout(None) as limit:
                self.on_stop = lambda: limit.reschedule(0)
                self.job = self.job._replace(input=await self._read_input(self.job.id, room))
        except TimeoutError:
            pass
        finally:
            self.waiting, self.on_stop = False, None
        return self.stopped is None

    def drop_input(self) -> None:
        """Let go of a long input, which can be read again."""
        if self._has_long_input:
            self.job = self.job._replace(input=None)

    @contextmanager
    def wait_for_host(self) -> Iterator[asyncio.Future[None]]:
        """Wait for a host: the time limit does not count. The future is done if the attempt is stopped meanwhile."""
        stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = True
        self.on_stop = lambda: stopped.set_result(None)
        try:
            yield stopped
        finally:
            self.waiting = False
            self.on_stop = None
