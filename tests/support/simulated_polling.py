"""Clients that follow the advice of the api, a lane and its statistics, on a clock of numbers: no server, no chance, no time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from api.http.retry_after import RetryAfterAdvisor
from sluice.core.arrivals import add_arrivals
from sluice.core.document import render
from sluice.core.estimates import estimate_ahead, estimate_end
from sluice.core.job import as_accepted
from sluice.core.queue_stats import LaneStatistics, measured
from tests.support.make_jobs import AT, new_job
from tests.unit.api.in_memory_api import Clock

LANE, NEWEST = "default", 100
"""The lane, and how many of its newest runs its statistics are about."""


class Work(NamedTuple):
    """One job: when it comes, begins and ends, in seconds."""

    came: float
    began: float
    ended: float


class Outcome(NamedTuple):
    """What the clients needed: status requests a job, how much longer than their jobs all waited together, and of how many jobs the
    `p90_s` of their first look held.
    """

    polls: float
    lost: float
    within_p90: float


def run(arrivals: Sequence[float], seconds: Sequence[float], slots: int) -> list[Work]:
    """Let a lane with so many slots do jobs that take so long, in the order in which they come."""
    free, works = [0.0] * slots, []
    for came, taken in zip(arrivals, seconds, strict=True):
        began = max(came, heapq.heappop(free))
        heapq.heappush(free, began + taken)
        works.append(Work(came, began, began + taken))
    return works


def count(works: Sequence[Work], slots: int, now: float) -> LaneStatistics:
    """Return what statistics of this second say."""
    ended = sorted((each for each in works if each.ended <= now), key=lambda each: each.ended)[-NEWEST:]
    waiting = [each.came for each in works if each.came <= now < each.began]
    oldest, newest = min(waiting, default=now), max(waiting, default=now)
    return LaneStatistics(
        queued=len(waiting),
        running=sum(each.began <= now < each.ended for each in works),
        oldest_queued_s=now - oldest,
        newest_queued_s=now - newest,
        counted_at=AT.timestamp() + now,
        oldest_undispatched_s=0,
        slots=slots,
        times=measured([each.ended - each.began for each in ended]) if ended else None,
    )


def follow(works: Sequence[Work], slots: int, warm_s: float = 0.0) -> Outcome:
    """Let the client of each job ask when it was told to, and count for the jobs that come after so many seconds."""
    clock, lane = Clock(), count([], slots, 0)
    advisor = RetryAfterAdvisor(clock)
    looks = [(each.came, number, 0) for number, each in enumerate(works)]
    heapq.heapify(looks)
    second, polls, waited, needed, held, jobs = -1, 0, 0.0, 0.0, 0, 0
    while looks:
        now, number, looked = heapq.heappop(looks)
        work, clock.now = works[number], AT.timestamp() + now
        if int(now) > second:
            for each in range(second + 1, int(now) + 1):
                lane = add_arrivals({LANE: lane}, {LANE: count(works, slots, each)})[LANE]
            second = int(now)
            advisor.learn({LANE: lane})
        if work.came >= warm_s and not looked:
            eta = estimate_end(lane, "", estimate_ahead(lane, clock.now))
            held += eta is not None and work.ended <= now + eta.p90_s
        if now < work.ended or not looked:
            heapq.heappush(looks, (now + _advice(advisor, number, work, now), number, looked + 1))
        elif work.came >= warm_s:
            jobs, polls = jobs + 1, polls + looked
            waited, needed = waited + now - work.came, needed + work.ended - work.came
    return Outcome(polls / jobs, waited / needed - 1, held / jobs)


def _advice(advisor: RetryAfterAdvisor, number: int, work: Work, now: float) -> int:
    """Return the seconds of Retry-After for the job as it is now."""
    came, began = (AT + timedelta(seconds=each) for each in (work.came, work.began))
    job = as_accepted(new_job(), came)._replace(id=f"01900000-0000-7000-8000-{number:012x}", lane=LANE)
    if now >= work.began:
        job = job._replace(state="running", started_at=began)
    return int(advisor(render(job))[1])
