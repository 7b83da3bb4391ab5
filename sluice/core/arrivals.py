"""Remember from count to count when the jobs of a lane came that still wait: after a burst, age alone does not tell their places.

Jobs begin in the order in which they came. So a job's place is the number of those that came before it and still wait, and that only
grows smaller. Counts tell how many wait, and when the first and the last of them came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from math import inf

from sluice.core.queue_stats import LaneStatistics, Mark, Statistics

MOST_MARKS = 32
"""Of each lane. One more, and that is left out which differs least from the line between its neighbours."""


def add_arrivals(before: Statistics, now: Mapping[str, LaneStatistics]) -> dict[str, LaneStatistics]:
    """Return what was counted now with the marks of what waits, as far as the counts before know of it."""
    return {
        name: lane.model_copy(update={"arrivals": _thin([*_mark(before.get(name), lane)])})
        for name, lane in now.items()
    }


def count_before(marks: Sequence[Mark], at: float) -> float:
    """Estimate how many of those that wait came before that time; of those that came at the same time, half."""
    first, end = bisect_left(marks, (at, -inf)), bisect_right(marks, (at, inf))
    if first < end:
        return (marks[first][1] + marks[end - 1][1]) / 2
    if not 0 < first < len(marks):
        return marks[-1][1] if first else 0.0
    (since, fewer), (until, more) = marks[first - 1], marks[first]
    return fewer + (more - fewer) * (at - since) / (until - since)


def _mark(before: LaneStatistics | None, now: LaneStatistics) -> Iterator[Mark]:
    """Yield marks in order: the first job that waits, what is known of those between, the last."""
    if not now.queued:
        return
    oldest_at, newest_at = now.counted_at - now.oldest_queued_s, now.counted_at - now.newest_queued_s
    yield oldest_at, 0.0
    if before and before.arrivals:
        begun, known = _count_begun(before, now, newest_at), before.arrivals
        if known[-1][0] < before.counted_at:
            known = [*known, (before.counted_at, float(before.queued))]
        for at, came in known:
            if oldest_at < at < newest_at:
                yield at, min(max(came - begun, 0.0), now.queued)
    yield newest_at, float(now.queued)


def _count_begun(before: LaneStatistics, now: LaneStatistics, newest_at: float) -> float:
    """Estimate how many have begun since the count before. If none has come, it is as many as wait no more."""
    least = float(max(before.queued - now.queued, 0))
    if newest_at <= before.counted_at or not now.times or not now.times.mean_s:
        return least
    usual = now.running * (now.counted_at - before.counted_at) / now.times.mean_s
    return min(max(least, usual), before.queued)


def _thin(marks: list[Mark]) -> list[Mark]:
    while len(marks) > MOST_MARKS:
        del marks[1 + min(range(len(marks) - 2), key=lambda number: _bend(*marks[number : number + 3]))]
    return marks


def _bend(one: Mark, middle: Mark, other: Mark) -> float:
    """Return by how many jobs the middle one is off the line between the others."""
    span = other[0] - one[0]
    part = (middle[0] - one[0]) / span if span else 0.5
    return abs(one[1] + (other[1] - one[1]) * part - middle[1])
