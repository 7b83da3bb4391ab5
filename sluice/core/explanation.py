"""Explain why a job is not done, in words that do not change and a sentence, and tell what has become of it so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sluice.core.estimates import Eta, estimate_ahead, estimate_end, estimate_rest
from sluice.core.job import TERMINAL, Job, JobState
from sluice.core.lanes import OVERFLOW
from sluice.core.queue_stats import LanePause, LaneStatistics

MOST_AHEAD = 1_000
"""Jobs that are counted before one; beyond that their number is estimated."""


class Reason(StrEnum):
    """Why a job is not done; clients decide by these words."""

    QUEUED_BEHIND = "queued-behind"
    LANE_PAUSED = "lane-paused"
    NO_CONSUMER = "no-consumer"
    UNKNOWN_KIND = "unknown-kind"
    SCHEDULED = "scheduled"
    RETRY_WAIT = "retry-wait"
    BROKER_AWAY = "broker-away"
    OVER_SHARE = "over-share"
    RUNNING = "running"
    FINISHED = "finished"


class Try(NamedTuple):
    """An attempt that did not succeed."""

    attempt: int
    outcome: str
    started_at: datetime | None
    finished_at: datetime


class Situation(NamedTuple):
    """A job as the record has it, and what it meets there.

    `handler_version` is the oldest version of its kind that may run it, and `served` the newest that living consumers have in its lane,
    None for none. `ahead` is how many jobs of its lane and priority were offered before it, up to MOST_AHEAD.
    """

    job: Job
    handler_version: int
    paused: LanePause | None
    lane_served: bool
    served: int | None
    ahead: int
    tries: Sequence[Try]


class Moment(NamedTuple):
    """Something that happened to a job, or will at that time."""

    at: datetime
    what: str
    detail: str


class Explanation(NamedTuple):
    """Why a job is not done. `position` is 1 for the next of its lane and priority to begin."""

    reason: Reason
    detail: str
    position: int | None
    eta: Eta | None
    timeline: list[Moment]


def explain(
    found: Situation, lane: LaneStatistics | None, now: datetime, *, broker_away: bool = False
) -> Explanation:
    """Explain a job, with the statistics of its lane if there are any."""
    job = found.job
    ahead = _count_ahead(found, lane) if job.state == JobState.QUEUED else 0
    reason = _reason(found, broker_away)
    position = ahead + 1 if job.state == JobState.QUEUED else None
    detail = _describe(reason, found, position)
    eta = _estimate(reason, job, lane, ahead, now) if lane else None
    return Explanation(reason, detail, position, eta, sorted(_moments(found), key=lambda moment: moment.at))


def _reason(found: Situation, broker_away: bool) -> Reason:
    job = found.job
    if job.state in TERMINAL:
        return Reason.FINISHED
    if job.state == JobState.RUNNING:
        return Reason.RUNNING
    if job.state == JobState.SCHEDULED:
        return Reason.RETRY_WAIT if job.fence else Reason.SCHEDULED
    if found.paused:
        return Reason.LANE_PAUSED
    if not found.lane_served:
        return Reason.NO_CONSUMER
    if found.served is None or found.served < found.handler_version:
        return Reason.UNKNOWN_KIND
    if broker_away:
        return Reason.BROKER_AWAY
    return Reason.OVER_SHARE if job.priority == OVERFLOW else Reason.QUEUED_BEHIND


def _count_ahead(found: Situation, lane: LaneStatistics | None) -> int:
    if found.ahead < MOST_AHEAD or lane is None or found.job.queued_at is None:
        return found.ahead
    return max(found.ahead, estimate_ahead(lane, found.job.queued_at.timestamp()))


def _estimate(reason: Reason, job: Job, lane: LaneStatistics, ahead: int, now: datetime) -> Eta | None:
    match reason:
        case Reason.QUEUED_BEHIND | Reason.BROKER_AWAY | Reason.OVER_SHARE:
            return estimate_end(lane, job.kind, ahead)
        case Reason.RUNNING if job.started_at:
            return estimate_rest(lane, job.kind, (now - job.started_at).total_seconds())
        case Reason.SCHEDULED | Reason.RETRY_WAIT if job.run_at:
            return estimate_end(lane, job.kind, 0, (job.run_at - now).total_seconds())
        case _:
            return None


SENTENCES: dict[Reason, str] = {
    Reason.FINISHED: "The job has {ended}.",
    Reason.RUNNING: "Attempt {job.attempt} of {job.max_attempts} runs{asked}.",
    Reason.SCHEDULED: "The job is not to begin before its time.",
    Reason.RETRY_WAIT: (
        "The last attempt ended with {outcome}; the next begins after a pause. "
        "Counted so far: {job.attempt} of {job.max_attempts}."
    ),
    Reason.LANE_PAUSED: "An operator has paused the lane {job.lane!r}: {why}",
    Reason.NO_CONSUMER: "No consumer serves the lane {job.lane!r} at the moment.",
    Reason.UNKNOWN_KIND: (
        "No consumer of the lane {job.lane!r} has the kind {job.kind!r} in version {version} or newer."
    ),
    Reason.BROKER_AWAY: "RabbitMQ does not answer; consumers take jobs from PostgreSQL until it is back.",
    Reason.OVER_SHARE: (
        "When it was accepted, its tenant had more than its share waiting in the lane {job.lane!r}, "
        "so it lets the jobs of others go first. Jobs that wait before it in the same queue: {before}."
    ),
    Reason.QUEUED_BEHIND: "Jobs of its lane and priority that wait before it: {before}.",
}


def _describe(reason: Reason, found: Situation, position: int | None) -> str:
    return SENTENCES[reason].format(
        job=found.job,
        version=found.handler_version,
        asked=", and was asked to stop" if found.job.cancel_requested_at else "",
        ended="been cancelled" if found.job.state == JobState.CANCELLED else found.job.state,
        outcome=found.tries[-1].outcome if found.tries else "an outcome that is not kept",
        why=found.paused.reason if found.paused else "",
        before=_describe_ahead(found, (position or 1) - 1),
    )


def _describe_ahead(found: Situation, ahead: int) -> str:
    return f"{'about ' * (found.ahead >= MOST_AHEAD)}{ahead}" if ahead else "none, it is the next"


def _moments(found: Situation) -> Iterator[Moment]:
    """Tell all of which the time is known."""
    job, scheduled = found.job, found.job.state == JobState.SCHEDULED
    started = None if any(each.started_at == job.started_at for each in found.tries) else job.started_at
    for at, what, detail in (
        (job.created_at, "accepted", f"for the lane {job.lane!r}"),
        (job.run_at if scheduled else None, "due", "when it is queued"),
        (job.queued_at, "queued", f"with the priority {job.priority}"),
        *_ends(found.tries),
        (started, "started", f"attempt {job.attempt}"),
        (job.cancel_requested_at, "cancel-requested", "by a client"),
        (None if job.finished_at else job.deadline, "deadline", "after which it is not begun any more"),
        (job.finished_at, "finished", job.state),
    ):
        if at:
            yield Moment(at, what, detail)


def _ends(tries: Sequence[Try]) -> Iterator[tuple[datetime | None, str, str]]:
    for each in tries:
        yield each.started_at, "started", f"attempt {each.attempt}"
        yield each.finished_at, "ended", f"attempt {each.attempt}: {each.outcome}"
