"""When the jobs came that wait, from count to count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.arrivals import MOST_MARKS, add_arrivals, count_before
from sluice.core.queue_stats import LaneStatistics, Mark, Times

SECOND = Times(runs=9, mean_s=1, p50_s=1, p90_s=1)


def counted(at: float, queued: int, oldest_at: float, newest_at: float, **more: Any) -> LaneStatistics:
    """A lane as it was counted at a time; the first and the last of those that wait came at these."""
    ages = {"oldest_queued_s": at - oldest_at, "newest_queued_s": at - newest_at}
    usual = {"running": 8, "slots": 8, "times": SECOND, "oldest_undispatched_s": 0, "counted_at": at}
    return LaneStatistics(queued=queued, **(usual | ages | more))


def told(*counts: LaneStatistics) -> list[Mark]:
    """What the last of these counts knows."""
    known: dict[str, LaneStatistics] = {}
    for each in counts:
        known = add_arrivals(known, {"default": each})
    return known["default"].arrivals


def test_an_empty_lane_knows_of_no_arrivals() -> None:
    assert told(counted(100, 0, 100, 100)) == []
    assert told(counted(100, 0, 100, 100), counted(101, 9, 100.5, 101)) == [(100.5, 0), (101, 9)]


def test_a_first_count_knows_the_first_and_the_last_of_those_that_wait() -> None:
    assert told(counted(100, 40, 95, 99)) == [(95, 0), (99, 40)]


def test_a_burst_is_remembered_when_others_come_after_it() -> None:
    burst, later = counted(101, 792, 100.3, 100.5), counted(102, 786, 100.4, 101.9)
    assert told(burst, later) == [(100.4, 0), (100.5, 784), (101, 784), (101.9, 786)]


def test_where_nobody_has_come_as_many_have_begun_as_are_missing() -> None:
    burst, later = counted(101, 800, 100, 100.5), counted(111, 750, 100, 100.5)
    assert told(burst, later) == [(100, 0), (100.5, 750)]
    evenly = counted(101, 800, 100, 101), counted(102, 820, 100.1, 102), counted(103, 800, 100.2, 102)
    assert told(*evenly)[-2:] == [(101, 772), (102, 800)]


@pytest.mark.parametrize("unknown", [{"times": None}, {"times": Times(runs=1, mean_s=0, p50_s=0, p90_s=0)}])
def test_without_times_no_more_have_begun_than_must_have(unknown: dict[str, Any]) -> None:
    known = told(counted(101, 50, 100, 101), counted(102, 60, 100, 102, **unknown))
    assert known == [(100, 0), (101, 50), (102, 60)]


def test_none_wait_any_more_who_came_before_the_first() -> None:
    assert told(counted(101, 50, 100, 101), counted(109, 5, 105, 108)) == [(105, 0), (108, 5)]


def test_places_between_marks_lie_on_a_line_and_beyond_them_at_their_ends() -> None:
    marks = [(100.0, 0.0), (101.0, 80.0), (103.0, 100.0)]
    found = [count_before(marks, at) for at in (99, 100, 100.5, 101, 102, 103, 104)]
    assert found == [0, 0, 40, 80, 90, 100, 100]


def test_of_those_that_came_at_the_same_time_half_are_before_one() -> None:
    assert count_before([(100, 0), (100, 80)], 100) == 40


def test_marks_are_few_and_those_remain_that_bend_most() -> None:
    evenly = [counted(100 + number, 10 * number, 100, 100 + number, running=0) for number in range(1, 40)]
    after = [counted(140 + number, 1_390 + 10 * number, 100, 140 + number, running=0) for number in range(60)]
    known = told(*evenly, *after)
    assert len(known) == MOST_MARKS
    assert (139, 390) in known
    assert (140, 1390) in known
    assert [count_before(known, at) for at in (120, 150)] == [200, 1490]


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 3, st.integers(0, 1_000)), min_size=1, max_size=50))
def test_marks_are_in_order_whatever_was_counted(counts: list[tuple[float, float, float, int]]) -> None:
    at, lanes = 1_000.0, []
    for elapsed, one, other, queued in counts:
        at += elapsed
        lanes.append(counted(at, queued, at - max(one, other), at - min(one, other)))
    known = told(*lanes)
    assert len(known) <= MOST_MARKS
    assert known == sorted(known)
    assert [came for _, came in known] == sorted(came for _, came in known)
