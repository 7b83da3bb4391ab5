"""How the keeper walks through what may be old enough: on from where it was, and from the beginning now and then."""

from __future__ import annotations

from typing import cast

import pytest

from consumer.keeper.prune_jobs import FIRST_ID, PruneJobs
from consumer.keeper.prune_keys import FIRST_KEY, PruneKeysAndConsumers
from consumer.keeper.sweep import AGAIN_S, ROWS_PER_TICK, Sweep
from sluice.core.ports import IdempotencyKeyCursor, Pruned, PrunedKeys, PruneStore
from sluice.core.retention import Retention
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import AT
from tests.unit.api.in_memory_api import Clock

KEPT = Retention({"demo.sum": 600}, 6_000)
FULL = ROWS_PER_TICK


class Record:
    """A record that answers as it was told to, and remembers behind what it was asked to look."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[object] = []
        self.kept: list[tuple[object, int]] = []

    async def prune_jobs(self, after: str, kept: Retention, limit: int) -> object:
        self.asked.append(after)
        self.kept.append((kept, limit))
        return self.answers.pop(0)

    async def prune_idempotency_keys(self, after: IdempotencyKeyCursor, keep_s: float, limit: int) -> object:
        return await self.prune_jobs(cast(str, after), cast(Retention, keep_s), limit)

    async def prune_consumers(self, silent_s: float) -> int:
        return 5


class Scene:
    """The duties, over a record and a clock that do what they are told."""

    def __init__(self, *answers: object) -> None:
        self.record, self.cache, self.events, self.clock = Record(*answers), FakeCache(), Events(), Clock()
        store, telemetry = cast(PruneStore, self.record), Telemetry(self.events)
        self.jobs = PruneJobs(store, self.cache, telemetry, KEPT, clock=self.clock)
        self.keys = PruneKeysAndConsumers(store, 600, clock=self.clock)


async def test_every_tick_goes_on_behind_the_last() -> None:
    scene = Scene(
        Pruned(("a",), FULL, "b"), Pruned((), FULL, "d"), Pruned(("e", "f"), 9, "g"), Pruned((), 0, None)
    )
    assert [await scene.jobs.once() for _ in range(4)] == [1, 0, 2, 0]
    assert scene.record.asked == [FIRST_ID, "b", "d", "g"]
    assert scene.record.kept == [(KEPT, FULL)] * 4
    assert scene.cache.forgotten == {"a", "e", "f"}
    assert scene.events.count(Event.PRUNED) == 3


async def test_it_begins_again_some_time_later_but_not_before_it_has_come_to_the_end() -> None:
    scene = Scene(
        *(Pruned((), size, last) for size, last in ((FULL, "b"), (FULL, "c"), (3, "d"), (FULL, "e")))
    )
    await scene.jobs.once()
    scene.clock.now += 61
    for _ in range(3):
        await scene.jobs.once()
    assert scene.record.asked == [FIRST_ID, "b", "c", FIRST_ID]


async def test_it_does_not_begin_again_too_soon() -> None:
    scene = Scene(*(Pruned((), 3, last) for last in "abc"))
    await scene.jobs.once()
    scene.clock.now += 59
    await scene.jobs.once()
    scene.clock.now += 2
    await scene.jobs.once()
    assert scene.record.asked == [FIRST_ID, "a", FIRST_ID]


@pytest.mark.parametrize(("keep_s", "again_s"), [(3, 0.3), (604_800, AGAIN_S)])
async def test_nothing_is_kept_for_much_longer_than_it_has_to_be(keep_s: float, again_s: float) -> None:
    clock = Clock()
    sweep = Sweep(keep_s, clock)
    sweep.advance(0)
    clock.now += again_s * 0.9
    assert not sweep.is_over()
    clock.now += again_s * 0.2
    assert sweep.is_over()


async def test_where_another_keeper_is_at_it_nothing_changes() -> None:
    scene = Scene(Pruned((), FULL, "b"), None, Pruned((), FULL, "c"))
    assert [await scene.jobs.once() for _ in range(3)] == [0, 0, 0]
    assert scene.record.asked == [FIRST_ID, "b", "b"]


async def test_a_record_without_old_jobs_is_begun_at_the_beginning() -> None:
    scene = Scene(Pruned((), 0, None), Pruned((), 0, None))
    for _ in range(2):
        await scene.jobs.once()
    assert scene.record.asked == [FIRST_ID, FIRST_ID]


async def test_keys_are_walked_through_alike_and_rows_of_old_consumers_go_with_them() -> None:
    first, second = IdempotencyKeyCursor(AT, "acme", "a"), IdempotencyKeyCursor(AT, "acme", "b")
    scene = Scene(PrunedKeys(2, FULL, first), None, PrunedKeys(0, 3, second), PrunedKeys(0, 0, None))
    assert [await scene.keys.once() for _ in range(4)] == [7, 0, 5, 5]
    scene.clock.now += 61
    scene.record.answers = [PrunedKeys(0, 0, None)]
    await scene.keys.once()
    assert scene.record.asked == [FIRST_KEY, first, first, second, FIRST_KEY]
    assert scene.record.kept == [(600, FULL)] * 5


async def test_jobs_are_pruned_without_redis() -> None:
    scene = Scene(Pruned(("a",), 1, "a"))
    scene.cache.away = True
    assert await scene.jobs.once() == 1
