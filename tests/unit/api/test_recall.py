"""Recall: the same work from memory, then the cache, then the record; each only where the one before did not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from api import recall
from api.lookup import Lookup
from api.memory import Memory
from api.recall import Recall, Recalled
from core.document import render
from core.errors import ServerAway
from core.job import Job, JobState
from core.ports import DocumentCache, JobStore
from tests.fakes import FakeCache
from tests.make import AT, finished_job
from tests.scripted import Scripted, ScriptedRecord, refused
from tests.unit.api.front_door import Clock

PRINT = b"p" * 32
NOW = AT.timestamp() + 10


class Desk:
    """A recall over a cache and a record that can be watched."""

    def __init__(self) -> None:
        self.record, self.clock = ScriptedRecord(), Clock()
        self.store, self.cache_calls = Scripted(self.record), Scripted(FakeCache())
        self.cache: FakeCache = self.cache_calls.record
        self.recall = self.another()

    def another(self) -> Recall:
        """The recall of another process."""
        store, cache = cast(JobStore, self.store), cast(DocumentCache, self.cache_calls)
        lookup = Lookup(store, cache, Memory(1_000_000, 10, self.clock))
        return Recall(store, cache, lookup, 10, self.clock)

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

    async def find(self, fresh_s: float = 60, now: float = NOW) -> Recalled | None:
        """Ask as one tenant."""
        return await self.recall.find("acme", PRINT, fresh_s, now)

    @property
    def asked(self) -> tuple[int, int]:
        """How often the cache and the record were asked for the same work."""
        return self.cache_calls.calls["find_results"], self.store.calls["find_same"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_work_that_nobody_did_is_not_found_after_all_were_asked(desk: Desk) -> None:
    assert await desk.find() is None
    assert desk.asked == (1, 1)


async def test_a_result_in_the_cache_spares_the_record_and_is_remembered(desk: Desk) -> None:
    job = await desk.announced()
    for _ in range(3):
        assert await desk.find() == Recalled(render(job), AT.timestamp())
    assert desk.asked == (1, 0)
    assert desk.store.calls["look_up"] == 0


async def test_a_result_in_the_record_is_remembered(desk: Desk) -> None:
    job = desk.done()
    for _ in range(3):
        assert await desk.find() == Recalled(render(job), AT.timestamp())
    assert desk.asked == (1, 1)


async def test_what_is_remembered_is_asked_for_anew_after_its_time_however_often_it_was_used(
    desk: Desk,
) -> None:
    await desk.announced()
    for _ in range(3):
        await desk.find()
        desk.clock.now += 4
    newer = await desk.announced(finished_at=AT + timedelta(seconds=5))
    found = await desk.find()
    assert found
    assert found.document.id == newer.id


async def test_a_result_that_is_too_old_for_the_asker_is_not_used_wherever_it_is(desk: Desk) -> None:
    await desk.announced()
    assert await desk.find(fresh_s=11)
    desk.record.now = AT + timedelta(seconds=10)
    assert await desk.find(fresh_s=10) is None
    assert await desk.find(fresh_s=60, now=NOW + 60) is not None, "the record's clock decides"


async def test_work_under_way_is_found_and_never_remembered(desk: Desk) -> None:
    job = finished_job(fingerprint=PRINT, state=JobState.RUNNING, finished_at=None, result=None)
    desk.record.add(job)
    for _ in range(2):
        assert await desk.find() == Recalled(render(job, coalesced=True), None)
    assert desk.asked == (2, 2)


async def test_a_result_whose_job_was_deleted_is_passed_over(desk: Desk) -> None:
    gone = await desk.announced()
    del desk.record.jobs[gone.id]
    await desk.cache.forget(gone.id)
    assert await desk.find() is None
    other = desk.done()
    found = await desk.find()
    assert found
    assert found.document.id == other.id


async def test_another_tenants_job_is_passed_over_even_under_the_same_fingerprint(desk: Desk) -> None:
    foreign = await desk.announced(tenant="other")
    del desk.record.jobs[foreign.id]
    assert await desk.find() is None


async def test_without_the_cache_the_record_answers(desk: Desk) -> None:
    job = await desk.announced()
    desk.cache.away = True
    assert await desk.find() == Recalled(render(job), AT.timestamp())
    assert desk.asked == (1, 1)


async def test_a_record_that_is_away_is_told_and_does_not_hide_what_the_cache_has(desk: Desk) -> None:
    desk.store.script["find_same"].append(refused())
    with pytest.raises(ServerAway):
        await desk.find()
    await desk.announced()
    desk.store.script["find_same"].append(refused())
    assert await desk.find()


async def test_what_was_superseded_is_not_remembered_any_more_and_its_successor_is(desk: Desk) -> None:
    older = await desk.announced()
    await desk.find()
    desk.recall.supersede(PRINT, NOW)
    for _ in range(2):  # it is still the newest there is
        found = await desk.find()
        assert found
        assert found.document.id == older.id
    assert desk.asked == (3, 0)
    newer = await desk.announced(finished_at=AT + timedelta(seconds=11))
    for _ in range(2):
        found = await desk.find()
        assert found
        assert found.document.id == newer.id
    assert desk.asked == (4, 0)


async def test_memory_holds_only_so_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MOST", 2)
    prints = [bytes([number]) * 32 for number in range(3)]
    for each in prints:
        desk.done(fingerprint=each)
        await desk.recall.find("acme", each, 60, NOW)
    for each in reversed(prints):
        await desk.recall.find("acme", each, 60, NOW)
    assert desk.asked == (4, 4)
