"""Look up: memory, then the cache, then the record; each only where the one before did not know."""

from __future__ import annotations

import asyncio

import pytest
import uuid_utils

from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import MOST_REFILLS, Lookup
from sluice.core.document import render
from sluice.core.errors import JobExpired, JobUnknown, Overloaded, ServerAway
from sluice.core.job import Job, JobState
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import FakeCache
from tests.support.faulty_store import FaultyStore, Gate, refused
from tests.support.make_jobs import AT, aged_id
from tests.unit.api.in_memory_api import Clock, add
from tests.unit.consumer.make_attempts import a_job


class Setup:
    """A look-up over memory, a cache and a record that can be watched."""

    def __init__(self) -> None:
        self.record = FakeRecord()
        self.store, self.cache_calls = FaultyStore(self.record), FaultyStore(FakeCache())
        self.cache: FakeCache = self.cache_calls.record
        self.memory = DocumentMemory(20_000_000, 10, Clock())
        self.lookup = Lookup(self.store.port, self.cache_calls.port, self.memory, Telemetry())

    def job(
        self, state: str = JobState.SUCCEEDED, tenant: str = "acme", age_s: float = 0, result: bytes = b"{}"
    ) -> Job:
        """A job in the record."""
        ended = {"finished_at": AT, "result": result} if state == JobState.SUCCEEDED else {}
        job = a_job(add, {}, id=aged_id(age_s), state=state, tenant=tenant, **ended)
        self.record.add(job)
        return job

    @property
    def asked(self) -> tuple[int, int]:
        """How often the cache and the record were asked."""
        return self.cache_calls.calls["get"], self.store.calls["look_up"]


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_a_finished_document_from_the_record_fills_memory_and_cache(setup: Setup) -> None:
    job = setup.job()
    assert await setup.lookup.find("acme", job.id) == render(job)
    await setup.lookup.drain()
    assert setup.cache.documents == {job.id: render(job)}
    assert await setup.lookup.find("acme", job.id) == render(job)
    assert setup.asked == (1, 1)


async def test_filling_the_cache_wakes_nobody(setup: Setup) -> None:
    await setup.lookup.find("acme", setup.job().id)
    await setup.lookup.drain()
    assert setup.cache.announced == [{}]


async def test_a_document_from_the_cache_spares_the_record_and_is_remembered(setup: Setup) -> None:
    job = setup.job()
    setup.cache.documents[job.id] = render(job)
    for _ in range(3):
        assert await setup.lookup.find("acme", job.id) == render(job)
    assert setup.asked == (1, 0)


async def test_large_documents_are_read_a_few_at_a_time_and_all_of_them(setup: Setup) -> None:
    jobs = [setup.job(result=b'"%01000000d"' % number) for number in range(9)]
    setup.cache.documents |= {job.id: render(job) for job in jobs}
    found = await asyncio.gather(*(setup.lookup.find("acme", job.id) for job in jobs))
    assert list(found) == [render(job) for job in jobs]
    assert setup.asked == (3, 0)


async def test_long_results_that_have_no_room_beside_others_are_read_alone_and_once_for_all(
    setup: Setup,
) -> None:
    jobs = [setup.job(result=b'"%01000000d"' % number) for number in range(12)]
    asked = [*jobs, *jobs, setup.job()]
    found = await asyncio.gather(*(setup.lookup.find("acme", job.id) for job in asked))
    assert list(found) == [render(job) for job in asked]
    assert setup.asked == (1, 1 + 7)


async def test_a_document_that_many_ask_for_is_read_once(setup: Setup) -> None:
    job = setup.job(result=b'"%01000000d"' % 0)
    setup.cache.documents[job.id] = render(job)
    assert set(await asyncio.gather(*(setup.lookup.find("acme", job.id) for _ in range(9)))) == {render(job)}
    assert setup.asked == (1, 0)


async def test_few_bytes_wait_for_a_slow_cache(setup: Setup) -> None:
    setup.cache_calls.script["announce"].append(slow := Gate())
    jobs = [setup.job(result=b'"%01000000d"' % number) for number in range(20)]
    await setup.lookup.find("acme", jobs[0].id)
    await slow.reached.wait()
    for job in jobs[1:]:
        await setup.lookup.find("acme", job.id)
    slow.open.set()
    await setup.lookup.drain()
    assert len(setup.cache.documents) == 1 + -(-MOST_REFILLS // 1_000_000)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED])
async def test_an_unfinished_document_is_read_anew_each_time(setup: Setup, state: JobState) -> None:
    job = setup.job(state)
    for _ in range(3):
        assert (await setup.lookup.find("acme", job.id)).state == state
    await setup.lookup.drain()
    assert setup.asked == (3, 3)
    assert (len(setup.memory), setup.cache.documents) == (0, {})


@pytest.mark.parametrize("where", ["memory", "cache", "record"])
async def test_a_job_of_another_tenant_is_unknown_wherever_it_is_found(setup: Setup, where: str) -> None:
    job = setup.job(tenant="other")
    if where == "memory":
        await setup.lookup.find("other", job.id)
    if where == "cache":
        setup.cache.documents[job.id] = render(job)
    for _ in range(2):
        with pytest.raises(JobUnknown):
            await setup.lookup.find("acme", job.id)


async def test_a_job_that_nobody_has_is_unknown_after_all_were_asked(setup: Setup) -> None:
    with pytest.raises(JobUnknown):
        await setup.lookup.find("acme", str(uuid_utils.uuid7()))
    assert setup.asked == (1, 1)


async def test_an_id_so_old_that_its_job_may_have_been_pruned_has_expired_for_all_tenants(
    setup: Setup,
) -> None:
    lookup = Lookup(setup.record, setup.cache, setup.memory, Telemetry(), kept_s=60)
    foreign = setup.job(age_s=61, tenant="other")
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
async def test_what_cannot_be_an_id_is_unknown_without_asking_anybody(setup: Setup, job_id: str) -> None:
    with pytest.raises(JobUnknown):
        await setup.lookup.find("acme", job_id)
    assert setup.asked == (0, 0)


async def test_without_the_cache_the_record_answers(setup: Setup) -> None:
    setup.cache.away = True
    job = setup.job()
    assert await setup.lookup.find("acme", job.id) == render(job)
    await setup.lookup.drain()


async def test_a_record_that_is_away_is_never_an_unknown_job(setup: Setup) -> None:
    job = setup.job()
    setup.store.script["look_up"].append(refused())
    with pytest.raises(ServerAway):
        await setup.lookup.find("acme", job.id)


async def test_a_record_that_is_away_does_not_hide_what_the_cache_has(setup: Setup) -> None:
    job = setup.job()
    setup.cache.documents[job.id] = render(job)
    setup.store.script["look_up"].append(refused())
    assert await setup.lookup.find("acme", job.id) == render(job)


async def test_look_ups_that_come_together_travel_together_and_are_answered_apart(setup: Setup) -> None:
    gate = Gate()
    setup.cache_calls.script["get"].append(gate)
    jobs = [setup.job(JobState.RUNNING) for _ in range(100)]
    wanted = [*jobs, jobs[0]]
    first = asyncio.create_task(setup.lookup.find("acme", jobs[0].id))
    await gate.reached.wait()
    finding = [asyncio.create_task(setup.lookup.find("acme", job.id)) for job in wanted]
    unknown = asyncio.create_task(setup.lookup.find("acme", str(uuid_utils.uuid7())))
    await asyncio.sleep(0)
    gate.open.set()
    found = await asyncio.gather(first, *finding)
    with pytest.raises(JobUnknown):
        await unknown
    assert [each.id for each in found] == [job.id for job in [jobs[0], *wanted]]
    assert setup.asked[0] == 2
    assert setup.asked[1] <= 4


async def test_a_look_up_succeeds_although_more_documents_wait_for_the_cache_than_can(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise Overloaded

    monkeypatch.setattr(setup.lookup._refill, "put", refuse)
    job = setup.job()
    assert await setup.lookup.find("acme", job.id) == render(job)
