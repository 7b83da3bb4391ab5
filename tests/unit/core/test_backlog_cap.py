"""How much may wait of all tenants together."""

from __future__ import annotations

import pytest

from sluice.core.backlog_cap import LATEST_S, MIB, MOST_JOBS, NO_LIMITS, BacklogCap, BacklogLimits
from sluice.core.errors import WholeBacklogFull
from sluice.core.queue_stats import Statistics
from tests.unit.core.test_estimates import lane


class Scene:
    """A cap, and what was counted last."""

    def __init__(self, jobs: int = 0, size: int = 0) -> None:
        self.newest: Statistics = {}
        self.cap = BacklogCap(lambda: self.newest, BacklogLimits(jobs=jobs, size=size))

    def count(self, *queued: int, queued_bytes: int = 0, per_second: float = 1.0) -> None:
        """Have so many counted in each lane; the bytes are those of each."""
        self.newest = {
            str(number): lane(queued=each, queued_bytes=queued_bytes, per_second=per_second)
            for number, each in enumerate(queued)
        }

    def refused(self, bulk: bool = False) -> int:
        """Return after how many seconds a refused client is to come again; 0: it was not refused."""
        try:
            self.cap.check("acme", bulk)
        except WholeBacklogFull as error:
            return error.retry_after_s
        return 0


def test_jobs_of_all_lanes_count_together_and_batches_are_refused_first() -> None:
    scene = Scene(jobs=100)
    assert not scene.refused()
    for queued, single, bulk in ((89, 0, 0), (90, 0, 1), (99, 0, 1), (100, 1, 1)):
        scene = Scene(jobs=100)
        scene.count(queued - 40, 40)
        assert (scene.refused() > 0, scene.refused(bulk=True) > 0) == (single, bulk), queued


def test_it_is_taken_again_once_a_fifth_has_gone() -> None:
    scene = Scene(jobs=100)
    for queued, full in ((100, True), (81, True), (80, False), (99, False), (101, True), (0, False)):
        scene.count(queued)
        assert (scene.refused() > 0) is full, queued


def test_bytes_count_whichever_limit_is_reached_first() -> None:
    scene = Scene(jobs=100, size=10 * MIB)
    scene.count(10, 10, queued_bytes=5 * MIB - 1)
    assert not scene.refused()
    scene.count(10, 10, queued_bytes=5 * MIB)
    assert scene.refused()
    scene = Scene(size=10 * MIB)
    scene.count(MOST_JOBS, queued_bytes=MIB)
    assert not scene.refused(), "jobs have no limit"


@pytest.mark.parametrize(
    ("per_second", "retry_s"), [(2.0, 10), (0.0, 20), (0.001, LATEST_S), (1_000_000.0, 1)]
)
def test_a_refusal_says_when_enough_will_have_begun(per_second: float, retry_s: int) -> None:
    scene = Scene(jobs=100)
    scene.count(100, per_second=per_second)
    assert scene.refused() == retry_s
    scene = Scene(size=10 * MIB)
    scene.count(100, queued_bytes=10 * MIB, per_second=per_second)
    assert scene.refused() == retry_s


def test_nothing_is_refused_without_limits_or_while_nothing_is_counted() -> None:
    scene = Scene()
    scene.count(MOST_JOBS, queued_bytes=2**60)
    assert not scene.refused(bulk=True)
    assert scene.cap.describe() == "no limit"
    scene = Scene(jobs=1)
    scene.count(1)
    assert scene.refused()
    scene.newest = {}
    assert not scene.refused()


def test_it_says_how_full_it_is() -> None:
    scene = Scene(jobs=100, size=10 * MIB)
    for queued, text in (
        (5, "10 of 100 jobs, 2 of 10 MiB"),
        (45, "90 of 100 jobs, 2 of 10 MiB; batches are refused"),
        (50, "100 of 100 jobs, 2 of 10 MiB; new jobs are refused"),
    ):
        scene.count(queued, queued, queued_bytes=MIB)
        assert scene.cap.describe() == text


def test_as_much_is_counted_as_tells_whether_a_limit_is_reached() -> None:
    assert NO_LIMITS.counted == 0
    assert BacklogLimits(tenant=5, jobs=9).counted == 9
    assert BacklogLimits(tenant=5).counted == 5
    assert BacklogLimits(tenant=5, jobs=9, size=1).counted == MOST_JOBS
