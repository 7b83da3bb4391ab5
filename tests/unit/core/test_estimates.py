"""Where a job stands in its queue, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.estimates import Eta, Wait, estimate_ahead, estimate_end, estimate_rest, estimate_wait
from sluice.core.queue_stats import LaneStatistics, Times
from tests.unit.core.test_queue_stats import PAUSE

AT_S = 1_000_000.0
"""When they were counted, in seconds since the epoch."""
QUICK = Times(runs=9, mean_s=1, p50_s=0.5, p90_s=2)
SLOW = Times(runs=9, mean_s=60, p50_s=50, p90_s=90)


def lane(**changes: Any) -> LaneStatistics:
    """A lane with forty jobs, the oldest of which has waited for ten seconds."""
    usual: dict[str, Any] = {
        "queued": 40,
        "running": 8,
        "oldest_queued_s": 10,
        "oldest_undispatched_s": 0,
        "slots": 8,
    }
    usual |= {"counted_at": AT_S, "times": QUICK, "kinds": {"slow": SLOW}}
    return LaneStatistics(**(usual | changes))


@pytest.mark.parametrize(("waited_s", "ahead"), [(10, 0), (11, 0), (5, 20), (0, 39), (9.9, 1)])
def test_who_has_waited_longer_stands_further_in_front(waited_s: float, ahead: int) -> None:
    assert estimate_ahead(lane(), AT_S - waited_s) == ahead


def test_who_came_after_the_count_has_all_before_it() -> None:
    assert estimate_ahead(lane(), AT_S + 0.1) == 40


def test_places_follow_what_is_known_of_arrivals() -> None:
    burst = lane(arrivals=[(AT_S - 10, 0), (AT_S - 9, 38), (AT_S, 40)])
    assert [estimate_ahead(burst, AT_S - age) for age in (9.5, 9, 4.5)] == [19, 38, 39]


def test_nobody_is_before_one_in_an_empty_lane() -> None:
    assert estimate_ahead(lane(queued=0, oldest_queued_s=0), AT_S - 3) == 0
    assert estimate_ahead(lane(queued=0), AT_S - 3) == 0


@given(st.integers(0, 10**6), st.floats(0, 10**6), st.floats(0, 10**6))
def test_a_job_that_waits_is_one_of_those_that_wait(queued: int, oldest_s: float, waited_s: float) -> None:
    ahead = estimate_ahead(lane(queued=queued, oldest_queued_s=oldest_s), AT_S - waited_s)
    assert 0 <= ahead <= max(queued - 1, 0)


def test_a_job_waits_for_those_before_it_and_takes_as_long_as_its_kind() -> None:
    assert estimate_end(lane(), "other", 16) == Eta(2.625, 4.312)
    assert estimate_end(lane(), "slow", 16) == Eta(52.125, 92.132)


def test_a_job_needs_an_end_of_its_own_where_all_slots_are_busy_and_none_where_one_is_free() -> None:
    assert estimate_end(lane(), "slow", 0) == Eta(50.125, 90.125)
    assert estimate_end(lane(running=7), "slow", 0) == Eta(50, 90)
    assert estimate_end(lane(running=7), "slow", 1) == estimate_end(lane(), "slow", 0)
    assert estimate_end(lane(running=99), "slow", 0) == estimate_end(lane(), "slow", 0)


def test_ends_of_runs_that_take_the_same_time_are_known_after_each_round_of_all_slots() -> None:
    same = Times(runs=9, mean_s=1, p50_s=1, p90_s=1)
    assert estimate_wait(lane(), same, 7) == Wait(1, 0)
    assert estimate_wait(lane(), same, 15) == Wait(2, 0)
    assert estimate_wait(lane(), same, 3).spread_s == pytest.approx(2**0.5 / 8)


def test_runs_of_no_time_are_not_waited_for() -> None:
    none = Times(runs=9, mean_s=0, p50_s=0, p90_s=0)
    assert estimate_end(lane(times=none, kinds={}), "other", 99) == Eta(0, 0)


def test_what_has_passed_of_a_run_does_not_come_again() -> None:
    assert estimate_rest(lane(), "slow", 60) == Eta(0, 30)
    assert estimate_rest(lane(), "slow", -3) == Eta(50, 90)  # by a clock that is behind


def test_a_run_goes_on_in_a_paused_lane_too() -> None:
    assert estimate_rest(lane(paused=PAUSE, slots=0), "slow", 60) == Eta(0, 30)
    assert estimate_rest(lane(times=None), "other", 60) is None


def test_a_time_that_is_still_to_come_is_waited_for() -> None:
    assert estimate_end(lane(running=7), "slow", 0, 5) == Eta(55, 95)
    assert estimate_end(lane(running=7), "slow", 0, -5) == Eta(50, 90)


@pytest.mark.parametrize("unknown", [{"slots": 0}, {"times": None, "kinds": {}}, {"paused": PAUSE}])
def test_nobody_says_when_a_job_ends_that_may_never_begin(unknown: dict[str, Any]) -> None:
    assert estimate_end(lane(**unknown), "slow", 1) is None


def test_times_of_the_kind_do_where_those_of_the_lane_are_not_known() -> None:
    assert estimate_end(lane(times=None, running=7), "slow", 8) == Eta(110, 152.426)
