"""What a consumer knows of its own work."""

from __future__ import annotations

from consumer.run_stats import NEWEST, RATE_TICKS, RunStats, with_load
from sluice.core.lanes import Lane
from sluice.core.queue_stats import LaneWork, measured, read_works, write_works
from tests.unit.api.in_memory_api import Clock

LANES = (Lane("default", 8, 16), Lane("heavy", 2, 1))


def test_a_consumer_that_has_done_nothing_has_slots() -> None:
    assert RunStats(Clock()).report(LANES) == {
        "default": LaneWork(slots=8, per_second=0),
        "heavy": LaneWork(slots=2, per_second=0),
    }


def test_runs_are_told_by_lane_and_kind() -> None:
    clock = Clock()
    run_stats = RunStats(clock)
    for kind, seconds in (("a", 1.0), ("b", 3.0), ("a", 2.0)):
        run_stats.add("default", kind, seconds)
    clock.now += 2
    work = run_stats.report(LANES)["default"]
    assert work.times == measured([1.0, 2.0, 3.0])
    assert work.kinds == {"a": measured([1.0, 2.0]), "b": measured([3.0])}
    assert work.per_second == 1.5
    assert run_stats.report(LANES)["heavy"].times is None


def test_the_rate_is_that_of_the_last_ticks() -> None:
    clock = Clock()
    run_stats = RunStats(clock)
    for tick in range(3 * RATE_TICKS):
        for _ in range(4 if tick < RATE_TICKS else 2):
            run_stats.add("default", "a", 0.1)
        clock.now += 1
        rate = run_stats.report(LANES)["default"].per_second
        assert rate == 4 if tick < RATE_TICKS else 2 <= rate <= 4
    assert rate == 2


def test_reports_that_come_at_once_do_no_harm() -> None:
    run_stats = RunStats(Clock())
    run_stats.add("default", "a", 0.1)
    assert run_stats.report(LANES)["default"].per_second > 0


def test_only_the_newest_runs_count() -> None:
    run_stats = RunStats(Clock())
    for number in range(3 * NEWEST):
        run_stats.add("default", "a", float(number))
    times = run_stats.report(LANES)["default"].times
    assert times is not None
    assert (times.runs, times.p50_s) == (NEWEST, 2.5 * NEWEST)


def test_a_report_tells_what_is_in_hand_and_what_the_consumer_holds() -> None:
    works = with_load(RunStats(Clock()).report(LANES), {"default": 3}, 7 << 20)
    assert {lane: (work.running, work.memory) for lane, work in works.items()} == {
        "default": (3, 7 << 20),
        "heavy": (0, 7 << 20),
    }
    assert read_works(write_works(works)) == works
