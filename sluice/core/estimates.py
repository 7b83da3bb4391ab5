"""Estimate from the statistics of a lane where a job stands in its queue, and when it ends."""

from __future__ import annotations

from math import ceil, sqrt
from typing import NamedTuple

from sluice.core.arrivals import count_before
from sluice.core.queue_stats import LaneStatistics, Times

NINE_TENTHS = 1.2816
"""By so many standard deviations a normal distribution's nine tenths lie above its middle."""


class Eta(NamedTuple):
    """In how many seconds a job ends, if it is as quick as half of its kind, and as nine tenths."""

    p50_s: float
    p90_s: float


class Wait(NamedTuple):
    """How long a job waits for a slot, and the standard deviation of that, in seconds."""

    mean_s: float
    spread_s: float


NO_WAIT = Wait(0.0, 0.0)


def estimate_ahead(lane: LaneStatistics, since: float) -> int:
    """Estimate how many of a lane wait that were queued before a job, which was queued at that time of the record."""
    if since > lane.counted_at:
        return lane.queued
    evenly = [(lane.counted_at - lane.oldest_queued_s, 0.0), (lane.counted_at, float(lane.queued))]
    before = count_before(lane.arrivals or evenly, since)
    return max(0, min(ceil(before), lane.queued - 1))


def estimate_wait(lane: LaneStatistics, times: Times, ahead: int) -> Wait:
    """Estimate how long a job waits behind so many others in a lane whose runs take these times.

    It begins with the n-th end of a run, and needs none while slots are free. Ends come as often as slots divided by the mean time of
    a run. The less such times differ, the more evenly: after each round of all slots nothing is left of their disorder but what these
    differences have added.
    """
    ends = ahead + 1 - max(lane.slots - lane.running, 0)
    if ends <= 0 or not times.mean_s:
        return NO_WAIT
    each_s = times.mean_s / lane.slots
    differ = ((times.p90_s - times.p50_s) / NINE_TENTHS / times.mean_s) ** 2
    of_round = ends / lane.slots % 1
    disorder = max(1 - differ, 0.0) * lane.slots * of_round * (1 - of_round)
    return Wait(ends * each_s, each_s * sqrt(ends * differ + disorder))


def estimate_end(lane: LaneStatistics, kind: str, ahead: int, until_s: float = 0.0) -> Eta | None:
    """Estimate when a job ends that is to wait for so many seconds, and then for so many before it.

    None where nobody can say: the lane is paused, nobody serves it, or no run has ended lately.
    """
    times = _times_of(lane, kind)
    if times is None or lane.paused or not lane.slots:
        return None
    wait = estimate_wait(lane, lane.times or times, ahead)
    p50_s = max(until_s, 0.0) + wait.mean_s + times.p50_s
    more_s = sqrt((times.p90_s - times.p50_s) ** 2 + (wait.spread_s * NINE_TENTHS) ** 2)
    return _eta(p50_s, p50_s + more_s)


def estimate_rest(lane: LaneStatistics, kind: str, passed_s: float) -> Eta | None:
    """Estimate when a job ends that has run for so many seconds; None if no run has ended lately."""
    times, passed_s = _times_of(lane, kind), max(passed_s, 0.0)
    if times is None:
        return None
    return _eta(max(times.p50_s - passed_s, 0.0), max(times.p90_s - passed_s, 0.0))


def _times_of(lane: LaneStatistics, kind: str) -> Times | None:
    return lane.kinds.get(kind) or lane.times


def _eta(p50_s: float, p90_s: float) -> Eta:
    return Eta(round(p50_s, 3), round(p90_s, 3))
