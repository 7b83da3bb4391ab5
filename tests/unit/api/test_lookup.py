"""Look up: memory, then the cache, then the record; each only where the one before did not know."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
import uuid_utils

from api.lookup import Lookup
from api.memory import Memory
from core.document import render
from core.errors import JobExpired, JobUnknown, ServerAway
from core.job import Job, JobState
from core.ports import DocumentCache, JobStore
from tests.fakes import FakeCache
from tests.make import aged_id
from tests.scripted import AT, Gate, Scripted, ScriptedRecord, refused
from tests.unit.api.front_door import Clock, add
from tests.unit.consumer.claimed import a_job


class Desk:
    """A look-up over memory, a cache and a record that can be watched."""

    def __init__(self) -> None:
        self.record = ScriptedRecord()
        self.store, self.cache_calls = Scripted(self.record), Scripted(FakeCache())
        self.cache: FakeCache = self.cache_calls.record
        self.memory = Memory(1_000_000, 10, Clock())
        self.lookup = Lookup(cast(JobStore, self.store), cast(DocumentCache, self.cache_calls), self.memory)

    def job(self, state: str = JobState.SUCCEEDED, tenant: str = "acme", age_s: float = 0) -> Job:
        """A job in the record."""
        finished = AT if state == JobState.SUCCEEDED else None
        job = a_job(add, {}, id=aged_id(age_s), state=state, tenant=tenant, finished_at=finished)
        self.record.add(job)
        return job

    @property
    def asked(self) -> tuple[int, int]:
        """How often the cache and the record were asked."""
        return self.cache_calls.calls["get"], self.store.calls["look_up"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_finished_document_from_the_record_fills_memory_and_cache(desk: Desk) -> None:
    job = desk.job()
    assert await desk.lookup.find("acme", job.id) == render(job)
    await desk.lookup.drain()
    assert desk.cache.documents == {job.id: render(job)}
    assert await desk.lookup.find("acme", job.id) == render(job)
    assert desk.asked == (1, 1)


async def test_filling_the_cache_wakes_nobody(desk: Desk) -> None:
    await desk.lookup.find("acme", desk.job().id)
    await desk.lookup.drain()
    assert desk.cache.announced == [{}]


async def test_a_document_from_the_cache_spares_the_record_and_is_remembered(desk: Desk) -> None:
    job = desk.job()
    desk.cache.documents[job.id] = render(job)
    for _ in range(3):
        assert await desk.lookup.find("acme", job.id) == render(job)
    assert desk.asked == (1, 0)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED])
async def test_an_unfinished_document_is_read_anew_each_time(desk: Desk, state: JobState) -> None:
    job = desk.job(state)
    for _ in range(3):
        assert (await desk.lookup.find("acme", job.id)).state == state
    await desk.lookup.drain()
    assert desk.asked == (3, 3)
    assert (len(desk.memory), desk.cache.documents) == (0, {})


@pytest.mark.parametrize("where", ["memory", "cache", "record"])
async def test_a_job_of_another_tenant_is_unknown_wherever_it_is_found(desk: Desk, where: str) -> None:
    job = desk.job(tenant="other")
    if where == "memory":
        await desk.lookup.find("other", job.id)
    if where == "cache":
        desk.cache.documents[job.id] = render(job)
    for _ in range(2):
        with pytest.raises(JobUnknown):
            await desk.lookup.find("acme", job.id)


async def test_a_job_that_nobody_has_is_unknown_after_all_were_asked(desk: Desk) -> None:
    with pytest.raises(JobUnknown):
        await desk.lookup.find("acme", str(uuid_utils.uuid7()))
    assert desk.asked == (1, 1)


async def test_an_id_so_old_that_its_job_may_have_been_pruned_has_expired_for_all_tenants(desk: Desk) -> None:
    lookup = Lookup(cast(JobStore, desk.record), desk.cache, desk.memory, kept_s=60)
    foreign = desk.job(age_s=61, tenant="other")
    for job_id in (aged_id(61), foreign.id):
        with pytest.raises(JobExpired):
            await lookup.find("acme", job_id)
    for job_id in (aged_id(59), aged_id(-61)):
        with pytest.raises(JobUnknown) as caught:
            await lookup.find("acme", job_id)
        assert not isinstance(caught.value, JobExpired)


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        "x",
        "01900000-0000-4000-8000-000000000000",
        "01900000-0000-7000-8000-00000000000G",
        "01900000-0000-7000-8000-000000000000\n",
        "01900000-0000-7000-8000-0000000000000",
        "☃" * 36,
    ],
)
async def test_what_cannot_be_an_id_is_unknown_without_asking_anybody(desk: Desk, job_id: str) -> None:
    with pytest.raises(JobUnknown):
        await desk.lookup.find("acme", job_id)
    assert desk.asked == (0, 0)


async def test_without_the_cache_the_record_answers(desk: Desk) -> None:
    desk.cache.away = True
    job = desk.job()
    assert await desk.lookup.find("acme", job.id) == render(job)
    await desk.lookup.drain()


async def test_a_record_that_is_away_is_never_an_unknown_job(desk: Desk) -> None:
    job = desk.job()
    desk.store.script["look_up"].append(refused())
    with pytest.raises(ServerAway):
        await desk.lookup.find("acme", job.id)


async def test_a_record_that_is_away_does_not_hide_what_the_cache_has(desk: Desk) -> None:
    job = desk.job()
    desk.cache.documents[job.id] = render(job)
    desk.store.script["look_up"].append(refused())
    assert await desk.lookup.find("acme", job.id) == render(job)


async def test_look_ups_that_come_together_travel_together_and_are_answered_apart(desk: Desk) -> None:
    gate = Gate()
    desk.cache_calls.script["get"].append(gate)
    jobs = [desk.job(JobState.RUNNING) for _ in range(100)]
    wanted = [*jobs, jobs[0]]
    first = asyncio.create_task(desk.lookup.find("acme", jobs[0].id))
    await gate.reached.wait()
    finding = [asyncio.create_task(desk.lookup.find("acme", job.id)) for job in wanted]
    unknown = asyncio.create_task(desk.lookup.find("acme", str(uuid_utils.uuid7())))
    await asyncio.sleep(0)
    gate.open.set()
    found = await asyncio.gather(first, *finding)
    with pytest.raises(JobUnknown):
        await unknown
    assert [each.id for each in found] == [job.id for job in [jobs[0], *wanted]]
    assert desk.asked[0] == 2
    assert desk.asked[1] <= 4
