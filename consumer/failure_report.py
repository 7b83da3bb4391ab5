"""Report failures one by one: each is a line in the log, which says which job or which step failed and why."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from sluice.core.errors import TRANSIENT
from sluice.core.job import Job
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import name_trace


def report_failed(telemetry: Telemetry, jobs: Iterable[Job]) -> None:
    """Report jobs that have failed for good."""
    for job in jobs:
        report_failure(telemetry, Event.FAILED, job)


def report_failure(telemetry: Telemetry, event: Event, job: Job, traceback: str | None = None) -> None:
    """Report the error that a job shows: what its client sees and, where it is logged, the traceback."""
    error = orjson.loads(job.error or b"{}")
    title, detail = error.get("title", ""), error.get("detail")
    fields = {"type": error.get("type"), "error": f"{title}: {detail}" if detail else title}
    fields |= name_trace(job.traceparent)
    if traceback:
        fields["traceback"] = traceback
    attempt = error.get("attempt", job.attempt)
    telemetry.emit(event, job_id=job.id, kind=job.kind, attempt=attempt, **fields)


def report_unforeseen(telemetry: Telemetry, duty: str, error: Exception) -> None:
    """Report an error that a step or a duty ended with, unless an adapter has reported it."""
    if not isinstance(error, TRANSIENT):
        telemetry.emit(Event.DUTY_FAILED, duty=duty, why=repr(error))
