"""One keeper counts for all, seldom where it takes long, and every consumer shows what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from sluice.adapters.metrics import Metrics
from sluice.core.count_lanes import (
    KNOWN_S,
    LONGEST_REST_S,
    MOST,
    SHARE,
    CountLanes,
)
from sluice.core.errors import TryAgain
from sluice.core.lane_gauges import describe_pauses, show_lane_gauges
from sluice.core.queue_stats import (
    LaneCount,
    LanePause,
    LaneStatistics,
    LaneWork,
    Works,
    read_statistics,
    write_statistics,
)
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock

COUNT = LaneCount(queued=4, running=2, oldest_queued_s=7, oldest_undispatched_s=3)
WORK = {"default": LaneWork(slots=8, per_second=1)}
MARKS = [(-7.0, 0.0), (0.0, 4.0)]
FOUND = {"default": LaneStatistics(**dict(COUNT), consumers=1, slots=8, per_second=1, arrivals=MARKS)}


class Record:
    """A record in memory, in which counting takes `takes_s`."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.takes_s, self.older_s = clock, 0.01, 0
        self.error: Exception | None = None
        self.paused: LanePause | None = None
        self.asked: list[tuple[Sequence[str], int]] = []

    async def list_work(self, silent_s: float) -> list[Works]:
        return [WORK]

    async def count(
        self, lanes: Sequence[str], most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        self.asked.append((lanes, most))
        self.clock.now += self.takes_s
        if self.error:
            raise self.error
        changes = {"oldest_queued_s": COUNT.oldest_queued_s + self.older_s, "paused": self.paused}
        return {"default": COUNT.model_copy(update=changes)}


class Scene:
    """The duty, over a record, a board and a clock of the test's own."""

    def __init__(self) -> None:
        self.clock, self.board = Clock(), FakeCache()
        self.record = Record(self.clock)
        self.duty = CountLanes(self.record, self.board, ["default"], self.clock)


async def test_what_was_counted_is_put_together_and_put_up() -> None:
    scene = Scene()
    assert await scene.duty.once() == 1
    (posted,) = read_statistics(scene.board.statistics or b"").values()
    assert posted.rest_s == pytest.approx(SHARE * 0.01)
    assert {"default": posted.model_copy(update={"rest_s": 0})} == FOUND
    assert scene.record.asked == [(["default"], MOST)]


async def test_what_another_keeper_knows_of_arrivals_is_kept() -> None:
    scene = Scene()
    burst = FOUND["default"].model_copy(update={"arrivals": [(-7.0, 0.0), (-5.0, 4.0), (-1.0, 4.0)]})
    await scene.board.post_statistics(write_statistics({"default": burst}), 60)
    assert await scene.duty.read_board()
    assert await scene.duty.once() == 1
    assert scene.duty.newest()["default"].arrivals == [(-7.0, 0.0), (-5.0, 4.0), (-1.0, 4.0), (0.0, 4.0)]


async def test_what_another_keeper_has_found_is_shown() -> None:
    scene = Scene()
    await scene.board.post_statistics(write_statistics(FOUND), 60)
    assert await scene.duty.read_board()
    assert scene.duty.read(lambda lane: lane.queued) == {"default": 4}
    assert scene.record.asked == []


@pytest.mark.parametrize("board", [b"not ours", b"", None])
async def test_a_board_that_cannot_be_read_changes_nothing(board: bytes | None) -> None:
    scene = Scene()
    await scene.duty.once()
    scene.board.statistics, scene.board.away = board, board is None
    assert not await scene.duty.read_board()
    assert scene.duty.read(lambda lane: lane.queued) == {"default": 4}


async def test_lanes_are_shown_with_what_each_figure_is() -> None:
    scene, metrics = Scene(), Metrics()
    show_lane_gauges(metrics, scene.duty)
    await scene.duty.once()
    shown = metrics.render()[1].decode()
    for line in (
        'sluice_queued_jobs{lane="default"} 4.0',
        'sluice_running_jobs{lane="default"} 2.0',
        'sluice_lane_slots{lane="default"} 8.0',
        'sluice_oldest_queued_seconds{lane="default"} 7.0',
        'sluice_lane_paused{lane="default"} 0.0',
        "sluice_oldest_undispatched_seconds 3.0",
        "# HELP sluice_lane_slots slots of all living consumers that serve the lane; 0 if none does, by lane",
    ):
        assert line in shown


PAUSE = LanePause(since=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), reason="the disk is full", by="a-key")


async def test_a_paused_lane_is_shown_by_every_process() -> None:
    scene, other, metrics = Scene(), Scene(), Metrics()
    other.board = scene.board
    other.duty = CountLanes(other.record, scene.board, ["default"], other.clock)
    scene.record.paused = PAUSE
    await scene.duty.once()
    assert await other.duty.read_board()
    show_lane_gauges(metrics, other.duty)
    assert 'sluice_lane_paused{lane="default"} 1.0' in metrics.render()[1].decode()


def test_pauses_are_described_in_a_line() -> None:
    assert describe_pauses({}) == describe_pauses({"heavy": None}) == "none"
    both = describe_pauses({"default": PAUSE, "heavy": PAUSE})
    assert both == "; ".join(
        f"{lane}, since 2026-01-02 03:04:05 UTC: the disk is full" for lane in ("default", "heavy")
    )


async def test_without_redis_it_shows_what_it_has_counted_itself() -> None:
    scene = Scene()
    scene.board.away = True
    assert await scene.duty.once() == 1
    assert scene.duty.read(lambda lane: lane.queued) == {"default": 4}


async def test_counting_that_takes_long_is_done_less_often() -> None:
    scene = Scene()
    scene.record.takes_s = 0.2
    await scene.duty.once()
    scene.clock.now += 0.2 * SHARE - 0.3
    assert await scene.duty.once() == 0
    scene.clock.now += 0.2
    assert await scene.duty.once() == 1


@pytest.mark.parametrize(("takes_s", "rest_s"), [(0.01, 0.2), (60, LONGEST_REST_S)])
async def test_what_was_counted_is_used_until_the_next_count_is_overdue(
    takes_s: float, rest_s: float
) -> None:
    scene = Scene()
    scene.record.takes_s = takes_s
    await scene.duty.once()
    assert rest_s + 5 < scene.board.posted_for_s < rest_s + 20


async def test_all_rest_after_one_has_counted_for_long() -> None:
    scene = Scene()
    scene.record.takes_s = 0.2
    others = [CountLanes(scene.record, scene.board, ["default"], scene.clock) for _ in range(50)]
    await scene.duty.once()
    for _ in range(2):
        for other in others:
            await other.read_board()
            assert await other.once() == 0
        scene.clock.now += 0.2 * SHARE - 0.3
    scene.clock.now += 0.4
    scene.record.older_s = 4
    assert [await other.once() for other in others[:2]] == [1, 1]
    assert await others[2].read_board()
    assert await others[2].once() == 0


async def test_counting_that_takes_too_long_is_not_tried_again_soon() -> None:
    scene = Scene()
    scene.record.error = TryAgain()
    with pytest.raises(TryAgain):
        await scene.duty.once()
    scene.record.error = None
    assert await scene.duty.once() == 0
    scene.clock.now += LONGEST_REST_S + 1
    assert await scene.duty.once() == 1


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
