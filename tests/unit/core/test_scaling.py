"""How many consumers are wanted: never below what runs, never above what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from sluice.core.queue_stats import LanePause, LaneStatistics, Times
from sluice.core.scaling import add_lanes, wanted_consumers


def lane(
    queued: int = 0, running: int = 0, slots: int = 8, consumers: int = 2, mean_s: float | None = 10.0
) -> LaneStatistics:
    """Make the statistics of a lane whose oldest job has waited for as many seconds as there are queued."""
    times = None if mean_s is None else Times(runs=9, mean_s=mean_s, p50_s=mean_s, p90_s=mean_s)
    return LaneStatistics(
        queued=queued, running=running, oldest_queued_s=queued, oldest_undispatched_s=0, slots=slots,
        consumers=consumers, times=times,
    )  # fmt: skip


JOBS = st.integers(0, 1_000_000)
MEANS = st.none() | st.floats(0, 1e6)


@given(JOBS, JOBS, st.integers(1, 500), st.integers(1, 500), MEANS, st.floats(0.001, 86_400))
def test_what_runs_always_fits_and_nobody_comes_for_nothing(
    queued: int, running: int, each: int, consumers: int, mean_s: float | None, target_s: float
) -> None:
    found = wanted_consumers(lane(queued, running, each * consumers, consumers, mean_s), target_s, 1)
    assert found * each >= running
    assert found <= -(-(running + queued) // each)
    if not queued:
        assert found == -(-running // each)


@given(JOBS, JOBS, st.integers(1, 500), MEANS, st.floats(0.001, 86_400))
def test_a_longer_queue_never_wants_fewer(
    queued: int, running: int, each: int, mean_s: float | None, target_s: float
) -> None:
    fewer = wanted_consumers(lane(queued, running, each, 1, mean_s), target_s, 1)
    assert wanted_consumers(lane(queued + 1, running, each, 1, mean_s), target_s, 1) >= fewer


def test_a_backlog_wants_as_many_as_finish_it_within_the_target() -> None:
    assert wanted_consumers(lane(queued=240, mean_s=10), 60, 1) == ceil(240 * 10 / 60 / 4) == 10
    assert wanted_consumers(lane(queued=240, mean_s=10), 600, 1) == 1
    assert wanted_consumers(lane(queued=240, running=8, mean_s=10), 60, 1) == 12


def test_no_more_are_wanted_than_there_are_jobs_however_long_those_take() -> None:
    assert wanted_consumers(lane(queued=3, running=1, slots=1, consumers=1, mean_s=3_600), 30, 1) == 4


def test_while_nobody_knows_how_long_a_run_takes_each_job_gets_a_slot() -> None:
    assert wanted_consumers(lane(queued=20, mean_s=None), 30, 1) == 5


def test_while_no_consumer_lives_one_is_expected_to_have_the_usual_slots() -> None:
    assert wanted_consumers(lane(queued=20, slots=0, consumers=0, mean_s=None), 30, 16) == 2
    assert wanted_consumers(lane(slots=0, consumers=0), 30, 16) == 0


def test_for_what_waits_in_a_paused_lane_nobody_is_wanted() -> None:
    pause = LanePause(since=datetime(2026, 1, 2, tzinfo=UTC), reason="as asked", by="key")
    paused = lane(queued=20, running=5, mean_s=None).model_copy(update={"paused": pause})
    assert wanted_consumers(paused, 30, 1) == 2
    assert add_lanes([(paused, 1)], 30).queued == 20


def test_an_error_of_a_float_wants_no_consumer_more() -> None:
    assert 24 * 0.1 / 0.3 > 8
    assert wanted_consumers(lane(queued=24, slots=4, consumers=1, mean_s=0.1), 0.3, 1) == 2


def test_of_several_lanes_the_one_that_wants_most_decides() -> None:
    heavy = lane(queued=10, running=2, slots=4, consumers=2, mean_s=60)
    default = lane(queued=100, running=50, slots=256, consumers=2, mean_s=0.1)
    scale = add_lanes([(heavy, 2), (default, 128)], 60)
    assert scale._asdict() == {
        "queued": 110, "running": 52, "consumers": 2, "slots": 260, "oldest_s": 100, "wanted": 6
    }  # fmt: skip
