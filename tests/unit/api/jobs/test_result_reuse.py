"""The same work from memory, then the cache, then the record; each only where the one before did not know."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.result_reuse import MOST, ResultReuse, ReusableResult
from sluice.core.document import render
from sluice.core.errors import ServerAway
from sluice.core.job import Job, JobState
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import FakeCache
from tests.support.faulty_store import Call, FaultyStore, refused
from tests.support.make_jobs import AT, finished_job
from tests.unit.api.in_memory_api import Clock

PRINT = b"p" * 32
NOW = AT.timestamp() + 10


class Setup:
    """The reuse of results, over a cache and a record that can be watched."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.record, self.clock = FakeRecord(), Clock()
        self.store, self.cache_calls = FaultyStore(self.record), FaultyStore(FakeCache())
        self.cache: FakeCache = self.cache_calls.record
        self.reuse = self.another()

    def another(self) -> ResultReuse:
        """The same in another process."""
        store, cache = self.store.port, self.cache_calls.port
        lookup = Lookup(store, cache, DocumentMemory(1_000_000, 10, self.clock), Telemetry())
        return ResultReuse(store, cache, lookup, Telemetry(), 10, self.clock, self.most)

    def done(self, **changes: Any) -> Job:
        """A job in the record that has a result."""
        job = finished_job(**({"fingerprint": PRINT} | changes))
        self.record.add(job)
        return job

    async def announced(self, **changes: Any) -> Job:
        """The same, known to the cache as well."""
        job = self.done(**changes)
        await self.cache.announce({}, [render(job)], {PRINT: job})
        return job

    async def find(self, fresh_s: float = 60, now: float = NOW) -> ReusableResult | None:
        """Ask as one tenant."""
        return await self.reuse.find("acme", PRINT, fresh_s, now)

    @property
    def asked(self) -> tuple[int, int]:
        """How often the cache and the record were asked for the same work."""
        return self.cache_calls.calls["find_results"], self.store.calls["find_same"]


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_work_that_nobody_did_is_not_found_after_all_were_asked(setup: Setup) -> None:
    assert await setup.find() is None
    assert setup.asked == (1, 1)


async def test_results_that_were_cleared_are_asked_for_anew(setup: Setup) -> None:
    await setup.announced()
    await setup.find()
    setup.reuse.clear()
    await setup.find()
    assert setup.asked == (2, 0)


async def test_a_result_in_the_cache_spares_the_record_and_is_remembered(setup: Setup) -> None:
    job = await setup.announced()
    for _ in range(3):
        assert await setup.find() == ReusableResult(render(job), AT.timestamp())
    assert setup.asked == (1, 0)
    assert setup.store.calls["look_up"] == 0


async def test_a_result_in_the_record_is_remembered(setup: Setup) -> None:
    job = setup.done()
    for _ in range(3):
        assert await setup.find() == ReusableResult(render(job), AT.timestamp())
    assert setup.asked == (1, 1)


async def test_what_is_remembered_is_asked_for_anew_after_its_time_however_often_it_was_used(
    setup: Setup,
) -> None:
    await setup.announced()
    for _ in range(3):
        await setup.find()
        setup.clock.now += 4
    newer = await setup.announced(finished_at=AT + timedelta(seconds=5))
    found = await setup.find()
    assert found
    assert found.document.id == newer.id


async def test_a_result_that_is_too_old_for_the_asker_is_not_used_wherever_it_is(setup: Setup) -> None:
    await setup.announced()
    assert await setup.find(fresh_s=11)
    setup.record.now = AT + timedelta(seconds=10)
    assert await setup.find(fresh_s=10) is None
    assert await setup.find(fresh_s=60, now=NOW + 60) is not None, "the record's clock decides"


async def test_work_under_way_is_found_and_never_remembered(setup: Setup) -> None:
    job = finished_job(fingerprint=PRINT, state=JobState.RUNNING, finished_at=None, result=None)
    setup.record.add(job)
    for _ in range(2):
        assert await setup.find() == ReusableResult(render(job, coalesced=True), None)
    assert setup.asked == (2, 2)


async def test_a_result_whose_job_was_deleted_is_passed_over(setup: Setup) -> None:
    gone = await setup.announced()
    del setup.record.jobs[gone.id]
    await setup.cache.forget(gone.id)
    assert await setup.find() is None
    other = setup.done()
    found = await setup.find()
    assert found
    assert found.document.id == other.id


async def test_another_tenants_job_is_passed_over_even_under_the_same_fingerprint(setup: Setup) -> None:
    foreign = await setup.announced(tenant="other")
    del setup.record.jobs[foreign.id]
    assert await setup.find() is None


async def test_large_results_are_all_found_in_the_record(setup: Setup) -> None:
    prints = [b"%032d" % number for number in range(9)]
    jobs = [setup.done(fingerprint=each, result=b'"%01000000d"' % 0) for each in prints]
    found = await asyncio.gather(*(setup.reuse.find("acme", each, 60, NOW) for each in prints))
    assert [each and each.document for each in found] == [render(job) for job in jobs]


async def test_a_large_result_that_is_deleted_before_it_is_read_is_not_found(setup: Setup) -> None:
    async def forget(call: Call) -> object:
        setup.record.jobs.clear()
        return await call()

    job = setup.done(result=None)
    setup.store.script["look_up"].append(forget)
    assert (job.is_cut, await setup.find()) == (True, None)


async def test_without_the_cache_the_record_answers(setup: Setup) -> None:
    job = await setup.announced()
    setup.cache.away = True
    assert await setup.find() == ReusableResult(render(job), AT.timestamp())
    assert setup.asked == (1, 1)


async def test_a_record_that_is_away_is_told_and_does_not_hide_what_the_cache_has(setup: Setup) -> None:
    setup.store.script["find_same"].append(refused())
    with pytest.raises(ServerAway):
        await setup.find()
    await setup.announced()
    setup.store.script["find_same"].append(refused())
    assert await setup.find()


async def test_what_was_superseded_is_not_remembered_any_more_and_its_successor_is(setup: Setup) -> None:
    older = await setup.announced()
    await setup.find()
    setup.reuse.supersede(PRINT, NOW)
    for _ in range(2):  # it is still the newest there is
        found = await setup.find()
        assert found
        assert found.document.id == older.id
    assert setup.asked == (3, 0)
    newer = await setup.announced(finished_at=AT + timedelta(seconds=11))
    for _ in range(2):
        found = await setup.find()
        assert found
        assert found.document.id == newer.id
    assert setup.asked == (4, 0)


async def test_memory_holds_only_so_many() -> None:
    setup = Setup(most=2)
    prints = [bytes([number]) * 32 for number in range(3)]
    for each in prints:
        setup.done(fingerprint=each)
        await setup.reuse.find("acme", each, 60, NOW)
    for each in reversed(prints):
        await setup.reuse.find("acme", each, 60, NOW)
    assert setup.asked == (4, 4)
