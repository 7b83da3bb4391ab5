"""One claimed job in hand: what runner, leases and flow know about it while it runs.

Made for every job that runs, so it is slotted and cheap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import orjson

from sluice.context import Context
from sluice.core.job import Job
from sluice.core.outcome import Ending, LeaseLost, NotRenewed, Released, TimedOut, storable
from sluice.errors import AttemptEnded
from sluice.handler import AnyHandler
from sluice.handler_io import read_input
from sluice.job_logger import JobLogger


class Attempt:
    """A job, its handler and how the run is going. Belongs to the event loop, except where noted.

    `started` is the monotonic time from which the time limit counts: that of the claim or, if no place was free, of the
    moment one was found (`waiting` is true until then). `time_limit_s` is the smaller of the kind's and the job's.
    `stopped` is why the work was told to end, if it was; that is then the ending, whatever the handler returns.
    """

    __slots__ = (
        "claim",
        "handler",
        "job",
        "on_stop",
        "progress",
        "started",
        "stopped",
        "time_limit_s",
        "waiting",
    )

    def __init__(self, job: Job, handler: AnyHandler) -> None:
        self.job = job
        self.handler = handler
        self.claim = job.claim
        limit = handler.timeout_s
        self.time_limit_s = limit if job.timeout_s is None else min(limit, job.timeout_s)
        self.started = monotonic()
        self.waiting = False
        self.progress: bytes | None = None
        self.stopped: AttemptEnded | None = None
        self.on_stop: Callable[[], object] | None = None

    def __repr__(self) -> str:
        state = f"stopped: {self.stopped!r}" if self.stopped else "waiting" if self.waiting else "running"
        return (
            f"<Attempt {self.job.attempt} of {self.job.kind} {self.job.id}, fence {self.job.fence}, {state}>"
        )

    def stop(self, why: AttemptEnded) -> None:
        """End the work: cancel it in the loop, ask it in a thread, kill it in a process.

        The first reason counts, but a lost lease overrides the others: then nothing may be written.
        """
        if self.stopped is None:
            self.stopped = why
            if self.on_stop is not None:
                self.on_stop()
        elif isinstance(why, LeaseLost):
            self.stopped = why

    def cancel(self) -> None:
        """Stop because a client asked for it."""
        self.stop(Released("cancelled"))

    def lose_lease(self) -> None:
        """Stop because the lease is lost, or could not be renewed in time."""
        self.stop(LeaseLost() if self.overdue else NotRenewed())

    async def wait_for(self, ending: asyncio.Future[Ending]) -> Ending:
        """Wait for the ending that a thread or a child reports; if the task is cancelled meanwhile, the job is released."""
        try:
            return await ending
        except asyncio.CancelledError:
            self.stop(Released())
            raise

    def time_out(self) -> None:
        """Stop because the time limit has come."""
        self.stop(TimedOut(f"The time limit of {self.time_limit_s:g} s was reached."))

    @property
    def overdue(self) -> bool:
        """True if it has run longer than its time limit."""
        return not self.waiting and monotonic() > self.started + self.time_limit_s

    def begin(self) -> None:
        """Count the time limit from now: a place was found."""
        self.started = monotonic()
        self.waiting = False

    def is_stopped(self) -> bool:
        """True once the work was told to end. Safe in every thread."""
        return self.stopped is not None

    def report(self, percent: float, note: str) -> None:
        """Keep the newest progress, which the heartbeat fetches. Safe in every thread."""
        self.progress = progress_json(percent, note)

    def context(self) -> Context:
        """Make the handler's Context for a run in this process."""
        return make_context(
            self.job.kind, (self.job.id, self.job.attempt, self.job.fence), self.report, self.is_stopped
        )


def call_handler(attempt: Attempt) -> Any:
    """Call the handler: its output, or for `async def` the coroutine. Raises BadInput, and what the handler raises."""
    handler = attempt.handler
    value = read_input(handler, attempt.job.input)
    return handler.function(value, attempt.context()) if handler.takes_context else handler.function(value)


def make_context(
    kind: str,
    numbers: tuple[str, int, int],
    report: Callable[[float, str], None],
    stop_asked: Callable[[], bool],
) -> Context:
    """Make a Context for this job id, attempt and fence, with a logger that names the job."""
    job_id, attempt, fence = numbers
    log = JobLogger({"job_id": job_id, "kind": kind, "attempt": attempt})
    return Context(job_id, attempt, fence, log, report, stop_asked)


def progress_json(percent: float, note: str) -> bytes:
    """Write progress as it is stored and shown."""
    return orjson.dumps({"percent": percent, "note": storable(note)})
