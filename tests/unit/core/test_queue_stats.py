"""The statistics of each lane."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sluice.core.errors import Malformed
from sluice.core.queue_stats import (
    LaneCount,
    LanePause,
    LaneStatistics,
    LaneWork,
    Times,
    measured,
    put_together,
    read_statistics,
    read_works,
    write_statistics,
    write_works,
)

COUNT = LaneCount(queued=40, running=2, oldest_queued_s=7, oldest_undispatched_s=1, tenants={"acme": 40})
PAUSE = LanePause(since=datetime(2026, 1, 2, tzinfo=UTC), reason="as asked", by="key")
SECOND = Times(runs=10, mean_s=1, p50_s=1, p90_s=1)


def statistics(**changes: object) -> LaneStatistics:
    """Make the statistics of a lane, complete but for these changes."""
    return LaneStatistics(**({**dict(COUNT), "slots": 8, "times": SECOND} | changes))


def test_runs_are_measured_whatever_their_order() -> None:
    found = measured([5.0, *range(1, 5), *range(6, 11)])
    assert found == Times(runs=10, mean_s=5.5, p50_s=6, p90_s=10)
    assert measured([2.0]) == Times(runs=1, mean_s=2, p50_s=2, p90_s=2)


def test_consumers_are_put_together_by_their_runs() -> None:
    quick = LaneWork(slots=8, per_second=3, times=SECOND, kinds={"a": SECOND})
    slow = LaneWork(
        slots=2, per_second=0.5, times=Times(runs=30, mean_s=5, p50_s=3, p90_s=9), kinds={"b": SECOND}
    )
    found = put_together({"default": COUNT}, [{"default": quick, "heavy": quick}, {"default": slow}, {}])
    assert found == {
        "default": LaneStatistics(
            **dict(COUNT),
            consumers=2,
            slots=10,
            per_second=3.5,
            times=Times(runs=40, mean_s=4, p50_s=2.5, p90_s=7),
            kinds={"a": SECOND, "b": SECOND},
        )
    }


def test_a_lane_that_nobody_serves_is_counted_all_the_same() -> None:
    idle = LaneWork(slots=3, per_second=0)
    found = put_together({"default": COUNT, "heavy": COUNT}, [{"default": idle}])
    assert found["heavy"] == LaneStatistics(**dict(COUNT))
    assert (found["default"].slots, found["default"].times) == (3, None)


def test_a_new_job_waits_for_those_before_it() -> None:
    assert statistics().wait_s == 5
    assert statistics(queued=0).wait_s == 0
    assert statistics(slots=1).wait_s == 40


@pytest.mark.parametrize("unknown", [{"slots": 0}, {"times": None}, {"paused": PAUSE}])
def test_where_slots_or_times_are_not_known_or_it_is_paused_the_oldest_says_how_long_it_takes(
    unknown: dict[str, object],
) -> None:
    assert statistics(**unknown).wait_s == 7


def test_a_typical_run_is_the_median() -> None:
    assert statistics(times=Times(runs=1, mean_s=9, p50_s=2, p90_s=20)).typical_s == 2
    assert statistics(times=None).typical_s == 0


def test_what_is_written_can_be_read() -> None:
    works = {"default": LaneWork(slots=1, per_second=0.5, times=SECOND, kinds={"a": SECOND})}
    assert read_works(write_works(works)) == works
    lanes = {"default": statistics()}
    assert read_statistics(write_statistics(lanes)) == lanes


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"default": {"slots": "many"}}', b'{"default": 1}'])
def test_what_another_release_wrote_is_not_read(raw: bytes) -> None:
    for read in (read_works, read_statistics):
        with pytest.raises(Malformed):
            read(raw)


def test_figures_that_a_later_release_adds_do_no_harm() -> None:
    assert read_works(b'{"default": {"slots": 1, "per_second": 0, "colour": "red"}}')["default"].slots == 1
