"""When a consumer looks which lanes are paused, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from consumer.intake.operator_pauses import DEAF_S, OperatorPauses
from sluice.core.access import Actor
from sluice.core.queue_stats import LanePause
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_lane_store import FakeLaneStore
from tests.support.fakes import Events
from tests.support.waiting import until

NEVER_S, AT_ONCE_S = 3_600.0, 0.001


class Store(FakeLaneStore):
    """Counts looks."""

    looks = 0

    async def list_pauses(self) -> dict[str, LanePause]:
        self.looks += 1
        return await super().list_pauses()


class Scene:
    """A consumer of two lanes; `halted` are those in which nothing may begin. Without `hears` it looks all the time."""

    def __init__(self) -> None:
        self.store, self.events = Store(), Events()
        self.hears = True
        self.halted: dict[str, bool] = {}
        self.pauses = OperatorPauses(
            self.store, lambda: self.hears, Telemetry(self.events), rest_s=NEVER_S, deaf_s=AT_ONCE_S
        )
        self._watching: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        for lane in ("default", "heavy"):
            await self.pauses.follow(lane, self._halt(lane))

    def watch(self) -> None:
        self._watching = asyncio.create_task(self.pauses.watch())

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def _halt(self, lane: str) -> Callable[[bool], Awaitable[None]]:
        async def halt(halted: bool) -> None:
            self.halted[lane] = halted

        return halt


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    await scene.follow()
    yield scene
    await scene.close()


async def test_every_lane_is_halted_until_it_is_known_which_are_paused(scene: Scene) -> None:
    assert scene.halted == {"default": True, "heavy": True}
    await scene.store.pause_lane("heavy", "as asked", "ops", Actor("key"))
    assert await scene.pauses.look()
    assert scene.halted == {"default": False, "heavy": True}
    assert list(scene.pauses.known) == ["heavy"]


async def test_a_pause_that_is_announced_is_looked_for_at_once(scene: Scene) -> None:
    scene.watch()
    await until(lambda: not scene.halted["heavy"])
    await scene.store.pause_lane("heavy", "as asked", "ops", Actor("key"))
    scene.pauses.look_soon()
    await until(lambda: scene.halted["heavy"])
    await scene.store.resume_lane("heavy", "ops", Actor("key"))
    scene.pauses.look_soon()
    await until(lambda: not scene.halted["heavy"])
    assert scene.store.looks == 3  # and never without need


async def test_what_is_announced_during_a_look_is_looked_for_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = scene.store.list_pauses

    async def announced_meanwhile() -> dict[str, LanePause]:
        found = await late()
        if scene.store.looks == 1:
            await scene.store.pause_lane("heavy", "as asked", "ops", Actor("key"))
            scene.pauses.look_soon()
        return found

    monkeypatch.setattr(scene.store, "list_pauses", announced_meanwhile)
    scene.watch()
    await until(lambda: scene.store.looks == 2 and scene.halted["heavy"])


async def test_while_nothing_can_be_heard_it_looks_by_itself_within_a_second(scene: Scene) -> None:
    assert DEAF_S <= 0.5
    scene.hears = False
    scene.watch()
    await until(lambda: not scene.halted["heavy"])
    await scene.store.pause_lane("heavy", "as asked", "ops", Actor("key"))
    await until(lambda: scene.halted["heavy"])


async def test_while_the_record_does_not_answer_everything_stays_as_it_is(scene: Scene) -> None:
    await scene.store.pause_lane("heavy", "as asked", "ops", Actor("key"))
    scene.watch()
    await until(lambda: not scene.halted["default"])
    scene.store.away = True
    scene.pauses.look_soon()
    await until(lambda: scene.store.refusals > 2)  # it asks again soon
    assert scene.halted == {"default": False, "heavy": True}
    scene.store.away = False
    await scene.store.resume_lane("heavy", "ops", Actor("key"))
    await until(lambda: not scene.halted["heavy"])
    assert scene.events.count(Event.DUTY_FAILED) == 0


async def test_an_error_that_nobody_foresaw_is_reported_and_it_goes_on(scene: Scene) -> None:
    scene.store.away = RuntimeError("odd")
    scene.watch()
    await until(lambda: scene.events.count(Event.DUTY_FAILED) > 0)
    scene.store.away = False
    await until(lambda: not scene.halted["heavy"])
