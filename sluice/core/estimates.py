"""Estimate from the statistics of a lane where a job stands in its queue, and when it ends."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from sluice.core.queue_stats import LaneStatistics, Times


class Eta(NamedTuple):
    """In how many seconds a job ends, if it is as quick as half of its kind, and as nine tenths."""

    p50_s: float
    p90_s: float


def estimate_ahead(lane: LaneStatistics, waited_s: float) -> int:
    """Estimate how many of a lane were queued before a job that has waited for so long, as if they had come evenly."""
    waited_s = max(waited_s, 0.0)
    if waited_s >= lane.oldest_queued_s:
        return 0
    part = 1 - waited_s / lane.oldest_queued_s
    return max(0, min(ceil(lane.queued * part), lane.queued - 1))


def estimate_end(lane: LaneStatistics, kind: str, ahead: int, until_s: float = 0.0) -> Eta | None:
    """Estimate when a job ends that is to wait for so many seconds, and then for so many before it.

    None where nobody can say: the lane is paused, nobody serves it, or no run has ended lately.
    """
    times = _times_of(lane, kind)
    if times is None or lane.paused or not lane.slots:
        return None
    wait_s = max(until_s, 0.0) + ahead * (lane.times or times).mean_s / lane.slots
    return _eta(wait_s + times.p50_s, wait_s + times.p90_s)


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
