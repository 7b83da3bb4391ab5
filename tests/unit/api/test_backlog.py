"""An api knows what waits, whether or not a consumer counts it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from api.backlog import DUTY, Backlog
from sluice.core.count_lanes import CountLanes
from sluice.core.errors import ServerAway
from sluice.core.ports import KeeperStore
from sluice.core.ports.keeper_store import Look
from sluice.core.queue_stats import LaneCount, Works, write_statistics
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock

COUNT = LaneCount(queued=30, running=0, oldest_queued_s=7, oldest_undispatched_s=0)


class Record:
    """A record in which nobody has counted; `turn` says whether it is this api's turn."""

    turn, away, counted = True, False, 0

    async def look(self, rates: Mapping[str, float], idempotency_keep_s: float) -> Look:
        if self.away:
            raise ServerAway("postgresql")
        assert list(rates) == [DUTY]
        return Look([DUTY] if self.turn else [], 0)

    async def count(
        self, lanes: object, most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        self.counted += 1
        return {"default": COUNT}

    async def list_work(self, silent_s: float) -> list[Works]:
        return []


class Scene:
    """An api over such a record and a board."""

    def __init__(self) -> None:
        self.record, self.board, self.clock = Record(), FakeCache(), Clock()
        counts = CountLanes(self.record, self.board, ["default"], self.clock, posted_s=5)
        keeper: KeeperStore = self.record  # type: ignore[assignment]  # as much of it as is used
        self.backlog = Backlog(keeper, counts, 60)

    def queued(self) -> Mapping[str, float]:
        return self.backlog.counts.read(lambda lane: lane.queued)


@pytest.mark.parametrize("redis", [True, False])
async def test_where_nobody_counts_it_counts_in_its_turn(redis: bool) -> None:
    scene = Scene()
    scene.board.away = not redis
    scene.record.turn = False
    await scene.backlog.once()
    assert (scene.queued(), scene.record.counted) == ({}, 0)
    scene.record.turn = True
    await scene.backlog.once()
    assert (scene.queued(), scene.record.counted) == ({"default": 30}, 1)


async def test_where_a_keeper_counts_it_only_reads() -> None:
    scene = Scene()
    await scene.board.post_statistics(write_statistics({}), 60)
    await scene.backlog.once()
    assert scene.record.counted == 0


async def test_without_the_record_it_goes_on_with_what_it_knows() -> None:
    scene = Scene()
    await scene.backlog.once()
    scene.board.statistics, scene.record.away = None, True
    await scene.backlog.once()
    assert scene.queued() == {"default": 30}
