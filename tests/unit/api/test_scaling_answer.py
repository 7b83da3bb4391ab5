"""What `/scaling` answers, from what an api knows of the lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from api.scaling import Scaling
from sluice.core.count_lanes import KNOWN_S, CountLanes
from sluice.core.lanes import Lane
from sluice.core.queue_stats import LaneCount, LaneWork, Works, measured
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock

LANES = {"default": Lane("default", 128, 64), "heavy": Lane("heavy", 2, 1)}


class Record:
    """A record with a backlog in `heavy`, and two consumers."""

    counted = 0

    async def count(
        self, lanes: Sequence[str], most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        self.counted += 1
        heavy = LaneCount(queued=12, running=4, oldest_queued_s=9, oldest_undispatched_s=0)
        idle = LaneCount(queued=0, running=1, oldest_queued_s=0, oldest_undispatched_s=0)
        return {name: heavy if name == "heavy" else idle for name in lanes}

    async def list_work(self, silent_s: float) -> list[Works]:
        work = LaneWork(slots=2, per_second=0.1, times=measured([10.0]))
        return [{"heavy": work}, {"heavy": work, "default": LaneWork(slots=128, per_second=0)}]


class Scene:
    """An api that has such a record counted."""

    def __init__(self, lanes: Sequence[str] = tuple(LANES)) -> None:
        self.clock, self.record = Clock(), Record()
        self.counts = CountLanes(self.record, FakeCache(), lanes, self.clock)
        self.scaling = Scaling(self.counts, LANES)

    async def ask(self, query: str) -> tuple[int, dict[str, Any]]:
        status, media_type, body = await self.scaling.show({"query_string": query.encode()})
        assert media_type == "application/json"
        return status, orjson.loads(body)


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    await scene.counts.once()
    return scene


async def test_a_lane_wants_what_ends_its_backlog_in_time_and_asking_costs_no_statement(scene: Scene) -> None:
    found = await scene.ask("lanes=heavy&wait_target_s=60")
    assert found == (
        200,
        {"queued": 12, "running": 4, "consumers": 2, "slots": 4, "oldest_s": 9.0, "wanted": 3},
    )
    assert (await scene.ask("lanes=heavy"))[1]["wanted"] == 4  # half a minute
    assert (await scene.ask("lanes=heavy&wait_target_s=1"))[1]["wanted"] == 8  # all at once
    assert scene.record.counted == 1


async def test_a_group_wants_what_its_busiest_lane_wants(scene: Scene) -> None:
    assert (await scene.ask("lanes=default"))[1]["wanted"] == 1
    for query in ("lanes=heavy,default&wait_target_s=60", "wait_target_s=60"):
        status, both = await scene.ask(query)
        assert (status, both["wanted"], both["running"], both["slots"]) == (200, 3, 5, 132)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("lanes=heavy,havy", "there is no lane havy"),
        ("lane=heavy", "there is no parameter lane"),
        ("wait_target_s=0", "wait_target_s is"),
        ("wait_target_s=soon", "wait_target_s is"),
        ("wait_target_s=nan", "wait_target_s is"),
    ],
)
async def test_a_wrong_question_is_told_what_there_is(scene: Scene, query: str, why: str) -> None:
    status, body = await scene.ask(query)
    assert (status, body["lanes"]) == (400, ["default", "heavy"])
    assert body["error"].startswith(why)


async def test_what_is_not_known_is_not_guessed(scene: Scene) -> None:
    assert (await Scene().ask("lanes=heavy"))[0] == 503
    scene.clock.now += KNOWN_S
    assert (await scene.ask("lanes=heavy"))[0] == 503
    other = Scene(lanes=["default"])
    await other.counts.once()
    assert (await other.ask("lanes=default"))[0] == 200
    status, body = await other.ask("lanes=default,heavy")
    assert (status, body["error"]) == (503, "nobody has counted lately what waits in heavy")
