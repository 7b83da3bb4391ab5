"""Trace jobs whose requests are traced: how long each was queued, and its attempt. It stands before the hosts where tracing is on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import time_ns

from consumer.attempt import Attempt
from consumer.execution import Runner
from sluice.core.job import Job
from sluice.core.lanes import queue_name
from sluice.core.outcome import Ending, Released
from sluice.core.runtime.tracing import Span, SpanContext, Tracing, read_sampled
from sluice.errors import RetryLater

NO_ERRORS = (Released, RetryLater)
"""Endings that no handler failed with."""


class TracedRuns:
    """Runs jobs where `hosts` does. `system` names what brought the jobs at present."""

    def __init__(self, hosts: Runner, tracing: Tracing, system: Callable[[], str]) -> None:
        self._hosts, self._tracing, self._system = hosts, tracing, system

    async def run(self, attempt: Attempt) -> Ending:
        """Run a job; its handler finds the context of the attempt in `Context.traceparent`."""
        parent = read_sampled(attempt.job.traceparent)
        if parent is None:
            return await self._hosts.run(attempt)
        self._export_wait(attempt.job, parent)
        attempt.span, start_ns = parent.child(), time_ns()
        attempt.traceparent = attempt.span.traceparent
        attributes = self._describe(attempt.job) | {"messaging.system": self._system()}
        error: BaseException | None = None
        try:
            ending = await self._hosts.run(attempt)
            error = attempt.stopped or (None if isinstance(ending, bytes) else ending)
            return ending
        except BaseException as why:
            error = why
            raise
        finally:
            failed = "" if error is None or isinstance(error, NO_ERRORS) else type(error).__name__
            if error is not None:
                attributes["sluice.ending"] = type(error).__name__
            name = f"process {attempt.job.kind}"
            self._tracing.export(
                Span(name, attempt.span, parent, start_ns, time_ns(), "consumer", attributes, (), failed)
            )

    def _export_wait(self, job: Job, parent: SpanContext) -> None:
        """Export the time from queued to claimed, both by the clock of the record."""
        if job.queued_at and job.started_at:
            start_ns, end_ns = _nanoseconds(job.queued_at), _nanoseconds(job.started_at)
            described = {"sluice.lane": job.lane, "sluice.priority": job.priority, "sluice.job.id": job.id}
            self._tracing.export(
                Span(f"queue {job.lane}", parent.child(), parent, start_ns, end_ns, attributes=described)
            )

    def _describe(self, job: Job) -> dict[str, str | int]:
        return {
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": queue_name(job.lane, job.priority),
            "messaging.message.id": job.id,
            "sluice.job.id": job.id,
            "sluice.kind": job.kind,
            "sluice.attempt": job.attempt,
        }


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1_000
