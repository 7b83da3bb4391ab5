"""The keeper rescues the jobs of consumers that have died, in parts, unless it may not judge who has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumer.keeper import rescue_jobs
from consumer.keeper.rescue_jobs import RescueJobs
from sluice.core.document import render
from sluice.core.job import Job, JobState, as_accepted
from sluice.core.lifecycle import LOST_LIMIT
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError
from tests.support.fake_keeper_store import DEAD, FakeKeeperStore
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import FaultyStore, refused
from tests.support.make_jobs import AT, new_job

OTHER = "00000000-0000-4000-8000-0000000000ff"


class Record(FakeKeeperStore):
    """A record in which two leases are over, one of them without any job."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Sequence[str]] = []
        self.dropped: list[str] = []

    async def take_dead_leases(self) -> list[str]:
        return [OTHER, *await super().take_dead_leases()]

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> list[Job]:
        self.asked.append(leases)
        return await super().rescue(ids, leases)

    async def drop_leases(self, leases: Sequence[str]) -> None:
        await super().drop_leases(leases)
        self.dropped += leases


class Scene:
    """The duty, over a record and a cache in memory."""

    def __init__(self, may_judge: bool = True) -> None:
        self.record, self.cache, self.events = Record(), FakeCache(), Events()
        self.store = FaultyStore(self.record)
        self.duty = RescueJobs(self.store.port, self.cache, Telemetry(self.events), lambda: may_judge)

    def running(self, silent: bool = True, **changes: object) -> str:
        """A job that runs, with a consumer that has died unless it is told otherwise."""
        usual: dict[str, object] = {"state": JobState.RUNNING, "attempt": 1, "fence": 1, "started_at": AT}
        job_id = self.record.add(as_accepted(new_job(), AT), **(usual | changes))
        if silent:
            self.record.silent.add(job_id)
        return job_id

    def states(self, *ids: str) -> list[str]:
        return [self.record.jobs[each].state for each in ids]


async def test_who_may_not_judge_does_not_even_look() -> None:
    scene = Scene(may_judge=False)
    job_id = scene.running()
    assert await scene.duty.once() == 0
    assert scene.states(job_id) == ["running"]
    assert dict(scene.store.calls) == {}


async def test_the_jobs_of_the_dead_are_queued_again_and_those_of_the_living_left_alone() -> None:
    scene = Scene()
    lost, kept = scene.running(), scene.running(silent=False)
    assert await scene.duty.once() == 1
    assert scene.states(lost, kept) == ["queued", "running"]
    assert scene.events == [(Event.RESCUED, 1, {})]
    assert scene.cache.announced == [{lost: scene.record.jobs[lost].version}]


async def test_many_jobs_are_rescued_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescue_jobs, "AT_ONCE", 2)
    scene = Scene()
    ids = [scene.running() for _ in range(5)]
    assert await scene.duty.once() == 5
    assert scene.states(*ids) == ["queued"] * 5
    assert (scene.store.calls["find_held_jobs"], scene.store.calls["rescue"]) == (1, 3)


async def test_all_leases_that_are_over_are_dealt_with_in_one_look_and_then_dropped() -> None:
    scene = Scene()
    scene.running()
    assert await scene.duty.once() == 1
    assert (scene.record.asked, scene.record.dropped) == ([[OTHER, DEAD]], [OTHER, DEAD])


async def test_a_lease_without_jobs_is_dropped() -> None:
    scene = Scene()
    assert await scene.duty.once() == 0
    assert (scene.store.calls["rescue"], scene.record.dropped) == (0, [OTHER])


@pytest.mark.parametrize("step", ["find_held_jobs", "rescue"])
async def test_no_lease_is_dropped_unless_all_its_jobs_were_rescued(step: str) -> None:
    scene = Scene()
    job_id = scene.running()
    scene.store.script[step].append(refused())
    with pytest.raises(SluiceError):
        await scene.duty.once()
    assert scene.record.dropped == []
    assert await scene.duty.once() == 1
    assert scene.states(job_id) == ["queued"]


async def test_what_has_ended_is_counted_reported_and_shown() -> None:
    scene = Scene()
    cancelled = scene.running(cancel_requested_at=AT)
    failed = scene.running(crash_count=LOST_LIMIT - 1)
    assert await scene.duty.once() == 2
    assert scene.states(cancelled, failed) == ["cancelled", "failed"]
    assert scene.events.count(Event.CANCELLED) == 1
    assert [each["job_id"] for each in scene.events.fields(Event.FAILED)] == [failed]
    assert scene.cache.documents == {each: render(scene.record.jobs[each]) for each in (cancelled, failed)}


async def test_jobs_are_rescued_without_redis() -> None:
    scene = Scene()
    scene.running()
    scene.cache.away = True
    assert await scene.duty.once() == 1
