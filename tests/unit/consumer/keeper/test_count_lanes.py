"""One keeper counts for all, seldom where it takes long, and every consumer shows what was found."""

from __future__ import annotations

from typing import cast

import pytest

from consumer.keeper.count_lanes import KNOWN_S, LONGEST_REST_S, MOST, SHARE, CountLanes
from sluice.core.errors import TryAgain
from sluice.core.ports import StatisticsStore
from sluice.core.queue_stats import LaneCount, LaneStatistics, LaneWork, Statistics, Works, read_statistics
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock

COUNT = LaneCount(queued=4, running=2, oldest_queued_s=7, oldest_undispatched_s=3)
WORK = {"default": LaneWork(slots=8, per_second=1)}
FOUND = {"default": LaneStatistics(**dict(COUNT), slots=8, per_second=1)}


class Record:
    """A record in memory, in which counting takes `takes_s`."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.takes_s = clock, 0.01
        self.counts: dict[str, LaneCount] | None = {"default": COUNT}
        self.error: Exception | None = None
        self.asked: list[tuple[list[str], int, float]] = []
        self.work: Works = {}
        self.kept: Statistics = {}

    async def report_work(self, works: Works) -> None:
        self.work = works

    async def list_work(self, silent_s: float) -> list[Works]:
        return [self.work]

    async def count(self, lanes: list[str], most: int, every_s: float) -> dict[str, LaneCount] | None:
        self.asked.append((lanes, most, every_s))
        self.clock.now += self.takes_s
        if self.error:
            raise self.error
        return self.counts

    async def keep_statistics(self, statistics: Statistics) -> None:
        self.kept = statistics

    async def latest_statistics(self, every_s: float) -> Statistics:
        return self.kept


class Scene:
    """The duty, over a record, a board and a clock of the test's own."""

    def __init__(self) -> None:
        self.clock, self.board = Clock(), FakeCache()
        self.record = Record(self.clock)
        store = cast(StatisticsStore, self.record)
        self.duty = CountLanes(store, self.board, ["default"], lambda: WORK, 1.0, self.clock)


async def test_what_was_counted_is_put_together_kept_and_put_up() -> None:
    scene = Scene()
    assert await scene.duty.once() == 1
    assert scene.record.kept == FOUND
    assert read_statistics(scene.board.statistics or b"") == FOUND
    assert scene.record.asked == [(["default"], MOST, 0.8)]


async def test_what_another_keeper_has_found_is_shown_and_not_put_up_again() -> None:
    scene = Scene()
    scene.record.counts, scene.record.kept = None, FOUND
    assert await scene.duty.once() == 0
    assert scene.board.statistics is None
    assert scene.duty.read(lambda lane: lane.queued) == {"default": 4}
    assert scene.record.work == WORK


async def test_without_redis_the_record_keeps_it_all_the_same() -> None:
    scene = Scene()
    scene.board.away = True
    assert await scene.duty.once() == 1
    assert scene.record.kept == FOUND


async def test_counting_that_takes_long_is_done_less_often() -> None:
    scene = Scene()
    scene.record.takes_s = 0.2
    await scene.duty.once()
    for _ in range(2):  # refused, as it was counted a moment ago
        scene.record.takes_s, scene.record.counts = 0.001, None
        await scene.duty.once()
    assert [every_s for _, _, every_s in scene.record.asked] == [0.8, *[pytest.approx(0.2 * SHARE)] * 2]


async def test_counting_that_takes_too_long_is_not_tried_again_soon() -> None:
    scene = Scene()
    scene.record.error = TryAgain()
    with pytest.raises(TryAgain):
        await scene.duty.once()
    scene.record.error = None
    assert await scene.duty.once() == 0
    scene.clock.now += LONGEST_REST_S + 1
    assert await scene.duty.once() == 1
    assert len(scene.record.asked) == 2


async def test_figures_that_are_out_of_date_are_not_shown() -> None:
    scene = Scene()
    assert scene.duty.read(lambda lane: lane.queued) == {}
    assert scene.duty.oldest_undispatched_s() == 0
    await scene.duty.once()
    assert scene.duty.read(lambda lane: lane.oldest_queued_s) == {"default": 7}
    assert scene.duty.oldest_undispatched_s() == 3
    scene.clock.now += KNOWN_S + 1
    assert scene.duty.read(lambda lane: lane.queued) == {}
    assert scene.duty.oldest_undispatched_s() == 0
