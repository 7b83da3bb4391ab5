"""The job, and the frozen values that flows and record exchange."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

TAG_SEPARATOR = "\x1f"
"""Joins tags in one column; no tag contains it."""


class JobState(StrEnum):
    """The state of a job. Nothing leaves a terminal state."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class Job(NamedTuple):
    """A row of `jobs` as the flows see it; the order of the fields is the order of the columns read.

    `id` is the text of a UUIDv7. `result`, `error` and `progress` are raw JSON bytes. Times are aware and come from
    the database clock. `owner` is the lease under which it was handed out to be run, and None of a job that was merely read.
    A named tuple, because one is made from every row read on the hot path.
    """

    id: str
    tenant: str
    kind: str
    lane: str
    priority: str
    state: str
    version: int
    fence: int
    attempt: int
    max_attempts: int
    crash_count: int
    solo_crashes: int
    timeout_s: float | None
    deadline: datetime | None
    run_at: datetime | None
    queued_at: datetime | None
    tags: str | None
    traceparent: str | None
    retry_of: str | None
    fingerprint: bytes | None
    cancel_requested_at: datetime | None
    progress: bytes | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    input: bytes | None = None
    result: bytes | None = None
    error: bytes | None = None
    owner: UUID | None = None

    @property
    def is_cut(self) -> bool:
        """True if its result was left out, because others were long; it is to be read again."""
        return self.state == JobState.SUCCEEDED and self.result is None

    @property
    def claim(self) -> Claim:
        """The newest right to run it."""
        return Claim(self.id, self.fence, self.owner)


class NewJob(NamedTuple):
    """A job that is not in the record yet.

    `fingerprint` is set for pure kinds: a result that equal work left less than `fresh_s` seconds ago may answer instead, and, with
    `flight`, equal work under way (single flight).
    `keep_s` is how long the job is kept once it has finished. `key` is the client's Idempotency-Key and `request_hash` what it stands for.
    `handler_version` is that of its kind where it was accepted: an older one must not run it.
    `delay_s` > 0, or a `run_at` in the future, makes it scheduled; `deadline_s` counts from acceptance. `tags` are joined by TAG_SEPARATOR.
    `webhook` is the id of an endpoint that is told how it ends, whatever that asks for.
    """

    id: str
    tenant: str
    kind: str
    lane: str
    priority: str
    input: bytes
    max_attempts: int
    timeout_s: float | None
    keep_s: float
    ids_per_message: int
    fingerprint: bytes | None = None
    flight: bool = False
    delay_s: float | None = None
    run_at: datetime | None = None
    deadline_s: float | None = None
    tags: str | None = None
    traceparent: str | None = None
    key: str | None = None
    request_hash: bytes | None = None
    fresh_s: float | None = None
    handler_version: int = 1
    webhook: str | None = None


def made_at(job_id: str) -> float:
    """Read the time at which a UUIDv7 was made, in seconds since the epoch (RFC 9562 §5.7)."""
    return int(job_id[:8] + job_id[9:13], 16) / 1000


def as_accepted(new: NewJob, at: datetime) -> Job:
    """Build the row that the record made of `new`, accepted at this time, without reading it back."""
    run_at = new.run_at and new.run_at.astimezone(UTC)
    if new.delay_s is not None:
        run_at = at + timedelta(seconds=new.delay_s)
    scheduled = run_at is not None and run_at > at
    return Job(
        id=new.id,
        tenant=new.tenant,
        kind=new.kind,
        lane=new.lane,
        priority=new.priority,
        state=JobState.SCHEDULED if scheduled else JobState.QUEUED,
        version=1,
        fence=0,
        attempt=0,
        max_attempts=new.max_attempts,
        crash_count=0,
        solo_crashes=0,
        timeout_s=new.timeout_s,
        deadline=None if new.deadline_s is None else at + timedelta(seconds=new.deadline_s),
        run_at=run_at,
        queued_at=None if scheduled else at,
        tags=new.tags,
        traceparent=new.traceparent,
        retry_of=None,
        fingerprint=new.fingerprint,
        cancel_requested_at=None,
        progress=None,
        created_at=at,
        started_at=None,
        finished_at=None,
    )


class IdempotencyKeyUse(NamedTuple):
    """An Idempotency-Key that was used: for which request, and which job answered it."""

    request_hash: bytes
    job_id: str


class Message(NamedTuple):
    """One RabbitMQ message, which is one row of the outbox: ids of one lane and priority."""

    outbox_id: int
    lane: str
    priority: str
    ids: tuple[str, ...]


class Accepted(NamedTuple):
    """The record's answer to a batch of new jobs.

    `at` is the time of acceptance; `ids` are the jobs that were inserted (the others were skipped: equal work is under
    way, or their key is taken); `messages` are to be published.
    """

    at: datetime
    ids: frozenset[str]
    messages: tuple[Message, ...]


class Claim(NamedTuple):
    """The right to run a job: valid while the record still shows this fence and this owner.

    A failover may undo a claim; the next one, by whomever, then has the same fence.
    """

    id: str
    fence: int
    owner: UUID | None
