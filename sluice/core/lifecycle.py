"""The state machine: the legal changes of state, and one constructor for each that an attempt can cause.

Only these constructors make a `Transition`, and the record takes nothing else to end an attempt, so an impossible
mix of fields cannot be written. The changes that statements make by themselves (claim, due, rescue, cancel) are
edges of the same table, which `docs/lifecycle.md` draws.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import orjson

from sluice.core.error_fingerprint import error_fingerprint
from sluice.core.job import Job, JobState
from sluice.core.job_log import LogBlock
from sluice.error_text import MOST_TEXT

EDGES: frozenset[tuple[JobState, JobState]] = frozenset(
    {
        (JobState.SCHEDULED, JobState.QUEUED),
        (JobState.SCHEDULED, JobState.CANCELLED),
        (JobState.SCHEDULED, JobState.FAILED),
        (JobState.QUEUED, JobState.RUNNING),
        (JobState.QUEUED, JobState.CANCELLED),
        (JobState.QUEUED, JobState.FAILED),
        (JobState.RUNNING, JobState.SUCCEEDED),
        (JobState.RUNNING, JobState.FAILED),
        (JobState.RUNNING, JobState.CANCELLED),
        (JobState.RUNNING, JobState.SCHEDULED),
        (JobState.RUNNING, JobState.QUEUED),
    }
)

SOLO_CRASH_LIMIT = 3
"""Deaths of its own process after which a job is failed as `worker-lost`."""

LOST_LIMIT = 10
"""Deaths of its consumers after which a job is failed as `worker-lost`: many may have been caused by other jobs."""


class Failure(NamedTuple):
    """Why an attempt did not succeed.

    `type` is a stable word: `handler-error`, `gave-up`, `timed-out`, `worker-lost`, `bad-input`, `bad-output`,
    `out-of-memory`, `deadline-passed`.
    `traceback` is for operators: it goes to the table of attempts and never into a document.
    """

    type: str
    title: str
    detail: str = ""
    retryable: bool = False
    traceback: str | None = None

    def fingerprint(self, kind: str) -> str:
        """Hash by which failures of a kind with the same cause are grouped."""
        return error_fingerprint(kind, self.type, self.title, self.detail[:MOST_TEXT])

    def to_json(self, kind: str, attempt: int) -> bytes:
        """Encode the problem object that a client sees."""
        problem = {"type": self.type, "title": self.title, "detail": self.detail[:MOST_TEXT]}
        more = {"retryable": self.retryable, "attempt": attempt, "fingerprint": self.fingerprint(kind)}
        return orjson.dumps(problem | more)


DEADLINE_PASSED = Failure("deadline-passed", "The deadline passed before the next attempt")
WORKER_LOST = Failure("worker-lost", "The process running the job died")
"""The failures that statements write by themselves, under the fingerprints that they are given."""


class Transition(NamedTuple):
    """The end of an attempt, guarded by `(id, fence, owner, state = running)` when it is written.

    `uncounted` is 1 if the attempt is not counted; `solo_crash` is 1 if the job died alone in its process; `delay_s` is the
    wait before a scheduled job is due; `outcome` is the word in the table of attempts; `error_fingerprint` is set if the
    job has failed for good; `log` has what the handler logged.
    """

    id: str
    fence: int
    owner: UUID | None
    state: JobState
    outcome: str
    result: bytes | None = None
    error: bytes | None = None
    traceback: str | None = None
    delay_s: float | None = None
    uncounted: int = 0
    solo_crash: int = 0
    error_fingerprint: str | None = None
    log: LogBlock | None = None


def succeeded(job: Job, result: bytes) -> Transition:
    """`running → succeeded`."""
    return Transition(job.id, job.fence, job.owner, JobState.SUCCEEDED, "succeeded", result=result)


def failed(job: Job, failure: Failure, solo_crash: int = 0) -> Transition:
    """`running → failed`: no further attempt."""
    error = failure.to_json(job.kind, job.attempt)
    return Transition(
        job.id,
        job.fence,
        job.owner,
        JobState.FAILED,
        failure.type,
        None,
        error,
        failure.traceback,
        solo_crash=solo_crash,
        error_fingerprint=failure.fingerprint(job.kind),
    )


def retried(job: Job, failure: Failure, delay_s: float) -> Transition:
    """`running → scheduled`: retry after a counted attempt."""
    error = failure.to_json(job.kind, job.attempt)
    return Transition(
        job.id,
        job.fence,
        job.owner,
        JobState.SCHEDULED,
        failure.type,
        None,
        error,
        failure.traceback,
        delay_s,
    )


def postponed(job: Job, delay_s: float, why: str = "") -> Transition:
    """`running → scheduled`: the handler asked to be called later; the attempt is not counted.

    The reason is kept with the attempt alone: the job has no error.
    """
    reason = Failure("postponed", "The handler asked to be called later", why, retryable=True)
    return Transition(
        job.id,
        job.fence,
        job.owner,
        JobState.SCHEDULED,
        "postponed",
        error=reason.to_json(job.kind, job.attempt) if why else None,
        delay_s=delay_s,
        uncounted=1,
    )


def released(job: Job) -> Transition:
    """`running → queued`: given back, at shutdown or after an outage of the record; the attempt is not counted."""
    return Transition(job.id, job.fence, job.owner, JobState.QUEUED, "released", uncounted=1)


def crashed(job: Job, failure: Failure) -> Transition:
    """`running → queued | failed`: the process that ran this job alone died."""
    if job.solo_crashes + 1 >= SOLO_CRASH_LIMIT:
        return failed(job, failure._replace(retryable=False), solo_crash=1)
    return Transition(
        job.id,
        job.fence,
        job.owner,
        JobState.QUEUED,
        failure.type,
        None,
        failure.to_json(job.kind, job.attempt),
        uncounted=1,
        solo_crash=1,
    )
