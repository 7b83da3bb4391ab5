"""Know which job the running code belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class JobRef(NamedTuple):
    """One attempt of a job, as far as log lines name it. `trace_id` is empty if it belongs to no trace."""

    job_id: str
    kind: str
    attempt: int
    trace_id: str = ""


CURRENT: ContextVar[JobRef | None] = ContextVar("current_job", default=None)
"""The job of this task or thread."""

_only: JobRef | None = None


def set_only_job(job: JobRef | None) -> None:
    """Say which job a host runs that runs one at a time: threads that a handler starts have no context."""
    global _only
    _only = job


def current_job() -> JobRef | None:
    """Return the job of the caller, or None where it is not known."""
    return CURRENT.get() or _only
