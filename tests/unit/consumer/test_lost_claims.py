"""What runs here by the record and is not in hand is given back, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from consumer.keeper.rescue_jobs import RescueJobs
from consumer.lost_claims import LostClaims
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.job import Claim, JobState
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_keeper_store import DEAD, FakeKeeperStore
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import Call, FaultyStore, refused
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import a_job


class Scene:
    """A record with a job that runs under the lease of this process."""

    def __init__(self) -> None:
        self.record, self.events, self.owner = FakeKeeperStore(), Events(), Owner()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.owner.id = UUID(DEAD)
        self.job = a_job(kinds.echo, {"number": 1}, state=JobState.RUNNING)
        self.record.add(self.job)
        self.record.silent.add(self.job.id)
        self.in_hand: set[Claim] = set()
        rescue = RescueJobs(self.store.port, FakeCache(), Telemetry(self.events), lambda: True)
        self.claims = LostClaims(rescue, self.owner, lambda: self.in_hand, Telemetry(self.events), 0.01)

    @property
    def state(self) -> str:
        return self.record.jobs[self.job.id].state

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Look when asked to, in the background."""
        keeping = asyncio.create_task(self.claims.keep())
        yield
        keeping.cancel()


async def let_pass(call: Call) -> object:
    """The call is made as usual."""
    return await call()


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_a_job_that_is_not_in_hand_is_given_back(scene: Scene) -> None:
    assert await scene.claims.once() == 1
    assert (scene.state, scene.events.count(Event.RESCUED)) == ("queued", 1)
    assert await scene.claims.once() == 0


async def test_a_job_in_hand_goes_on(scene: Scene) -> None:
    scene.in_hand.add(scene.job.claim)
    assert await scene.claims.once() == 0
    assert scene.state == "running"


@pytest.mark.parametrize("how", ["it comes into hand", "it ends", "the lease is another"])
async def test_what_was_under_way_is_left_alone(scene: Scene, how: str) -> None:
    looking = asyncio.create_task(scene.claims.once())
    await asyncio.sleep(0)
    match how:
        case "it comes into hand":
            scene.in_hand.add(scene.job.claim)
        case "it ends":
            scene.record.silent.clear()
        case _:
            scene.owner.replace()
    assert await looking == 0
    assert scene.state == "running"


@pytest.mark.parametrize("call", [1, 2])
async def test_a_look_that_another_process_holds_up_is_made_again_and_no_other_with_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    monkeypatch.setattr("consumer.lost_claims.PAUSE_S", 0.01)
    scene.script["find_held_jobs"] += [let_pass] * (call - 1) + [refused(TryAgain("another looks"))] * 3
    assert await scene.claims.once() == 1
    assert scene.store.calls["find_held_jobs"] == 5


async def test_what_ends_during_a_look_is_not_looked_for_again(scene: Scene) -> None:
    scene.in_hand.add(scene.job.claim)

    async def end(call: Call) -> object:
        found = await call()
        scene.in_hand.clear()
        return found

    scene.script["find_held_jobs"].append(end)
    assert await scene.claims.once() == 0
    assert scene.store.calls["find_held_jobs"] == 1


async def test_it_looks_when_it_is_asked_to_until_the_record_answers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.lost_claims.PAUSE_S", 0.01)
    scene.record.away = ServerAway("postgresql")
    with scene.kept():
        await asyncio.sleep(0.05)
        assert scene.record.refusals == 0
        scene.claims.look()
        await until(lambda: scene.record.refusals > 2)
        scene.record.away = False
        await until(lambda: scene.state == "queued")
