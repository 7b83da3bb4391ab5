"""Settle: endings written once, however the record behaves, and shown as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import cast

import pytest

from consumer import settling as settling_module
from consumer.attempt import Attempt
from consumer.settling import Settling
from core.document import render
from core.errors import BadRow, TryAgain
from core.handler import GiveUp
from core.job import Job, JobState
from core.outcome import ChildDied, Ending, LeaseLost, Released, judge
from core.ports import DocumentCache, JobStore, Wake
from core.retry import RetryPolicy
from core.telemetry import Event, Telemetry
from tests.fakes import Events, FakeCache
from tests.scripted import AT, Gate, Scripted, ScriptedRecord, lost, refused
from tests.unit.consumer import kinds
from tests.unit.consumer.claimed import a_job
from tests.waiting import until


class Desk:
    """Settling over a scripted record."""

    def __init__(self) -> None:
        self.record = ScriptedRecord()
        self.store = Scripted(self.record)
        self.script = self.store.script
        self.events, self.cache = Events(), FakeCache()
        self.settling = Settling(
            cast(JobStore, self.store), cast(DocumentCache, self.cache), Telemetry(self.events)
        )

    def attempt(self, **changes: object) -> Attempt:
        """An attempt at a job that the record shows as running."""
        job = a_job(kinds.echo, {"number": 1}, started_at=AT, progress=b'{"percent":50}', **changes)
        self.record.add(job)
        return Attempt(job, kinds.echo)

    def job(self, attempt: Attempt) -> Job:
        return self.record.jobs[attempt.job.id]

    async def settle(self, attempt: Attempt, ending: Ending = b'{"value":1}') -> None:
        transition = judge(attempt.job, ending, RetryPolicy(), Random(1))
        assert transition is not None
        await self.settling.settle(attempt, transition)
        await self.settling.drain()


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(settling_module, "PAUSE_S", 0)
    desk = Desk()
    yield desk
    await asyncio.wait_for(desk.settling.drain(), 5)


async def test_the_document_shown_is_byte_for_byte_that_of_the_record(desk: Desk) -> None:
    attempt = desk.attempt()
    await desk.settle(attempt)
    job = desk.job(attempt)._replace(progress=None)
    assert desk.cache.documents[job.id] == render(job)
    assert desk.cache.announced == [{job.id: 3}]


@pytest.mark.parametrize(
    ("ending", "state", "event"),
    [
        (b"1", "succeeded", Event.SUCCEEDED),
        (GiveUp("no"), "failed", Event.FAILED),
        (ValueError("again"), "scheduled", Event.RETRIED),
        (Released(), "queued", Event.RELEASED),
        (ChildDied("killed"), "queued", Event.RELEASED),
    ],
)
async def test_every_ending_is_written_counted_and_announced(
    desk: Desk, ending: Ending, state: str, event: Event
) -> None:
    attempt = desk.attempt()
    await desk.settle(attempt, ending)
    assert (desk.job(attempt).state, desk.events.count(event)) == (state, 1)
    assert desk.cache.announced == [{attempt.job.id: 3}]
    assert bool(desk.cache.documents) == (state in ("succeeded", "failed"))


@pytest.mark.parametrize("error", [None, TryAgain(), BadRow()])
async def test_an_ending_is_kept_until_the_record_takes_it(desk: Desk, error: Exception | None) -> None:
    desk.script["settle"] += [refused(error)] * 5
    attempt = desk.attempt()
    await desk.settle(attempt)
    assert desk.job(attempt).state == "succeeded"
    assert (desk.events.count(Event.SUCCEEDED), desk.events.count(Event.STALE)) == (1, 0)


async def test_an_ending_outlives_its_lease_where_nobody_took_the_job_meanwhile(desk: Desk) -> None:
    attempt = desk.attempt()
    gate = Gate()
    desk.script["settle"] += [refused()] * 3 + [gate, refused(), refused(TryAgain())]
    settling = asyncio.create_task(desk.settle(attempt))
    await gate.reached.wait()
    attempt.stop(LeaseLost())
    gate.open.set()
    await settling
    assert (desk.job(attempt).state, desk.events.count(Event.STALE)) == ("succeeded", 0)


async def test_an_ending_that_outlived_its_lease_is_refused_where_the_job_was_taken(desk: Desk) -> None:
    attempt = desk.attempt()
    attempt.stop(LeaseLost())
    desk.script["settle"] += [refused()] * 3
    desk.record.add(desk.job(attempt), fence=2)
    await desk.settle(attempt)
    assert (desk.job(attempt).state, desk.events.count(Event.STALE)) == ("running", 1)


async def test_an_ending_that_the_record_does_not_take_is_dropped_with_its_lease(desk: Desk) -> None:
    attempt = desk.attempt()
    attempt.stop(LeaseLost())
    desk.script["settle"].append(refused(BadRow()))
    await desk.settle(attempt)
    assert (desk.job(attempt).state, desk.store.calls["settle"]) == ("running", 1)


async def test_a_write_whose_reply_was_lost_is_recognised_as_our_own(desk: Desk) -> None:
    desk.script["settle"].append(lost())
    attempt = desk.attempt()
    await desk.settle(attempt)
    assert desk.events.count(Event.STALE) == 0
    assert desk.cache.documents[attempt.job.id] == render(desk.job(attempt)._replace(progress=None))


async def test_a_record_that_goes_away_again_is_asked_again_whether_the_write_was_ours(desk: Desk) -> None:
    desk.script["settle"].append(lost())
    desk.script["look_up"] += [refused(), refused()]
    attempt = desk.attempt()
    await desk.settle(attempt)
    assert (desk.events.count(Event.STALE), desk.store.calls["look_up"]) == (0, 3)
    assert attempt.job.id in desk.cache.documents


@pytest.mark.parametrize("changes", [{"fence": 2}, {"state": JobState.FAILED}])
async def test_a_refused_ending_is_stale_counted_and_never_shown(
    desk: Desk, changes: dict[str, object]
) -> None:
    attempt = desk.attempt()
    desk.record.add(desk.job(attempt), **changes)
    await desk.settle(attempt)
    assert desk.events.fields(Event.STALE) == [{"job_id": attempt.job.id, "fence": 1}]
    assert (desk.cache.documents, desk.cache.announced) == ({}, [])


@pytest.mark.parametrize(
    "changes", [{"fence": 2}, {"state": JobState.FAILED}, {"fence": 2, "state": JobState.SUCCEEDED}]
)
async def test_another_ones_write_is_not_taken_for_ours_after_a_lost_reply(
    desk: Desk, changes: dict[str, object]
) -> None:
    desk.script["settle"].append(refused())
    attempt = desk.attempt()
    desk.record.add(desk.job(attempt), **changes)
    await desk.settle(attempt)
    assert (desk.events.count(Event.STALE), desk.cache.documents) == (1, {})


async def test_a_job_that_is_gone_from_the_record_is_stale(desk: Desk) -> None:
    desk.script["settle"].append(refused())
    attempt = desk.attempt()
    desk.record.jobs.clear()
    await desk.settle(attempt)
    assert desk.events.count(Event.STALE) == 1


async def test_a_requested_cancel_is_shown_with_the_time_that_only_the_record_knows(desk: Desk) -> None:
    attempt = desk.attempt()
    desk.record.add(desk.job(attempt), cancel_requested_at=AT)
    await desk.settle(attempt)
    shown = desk.cache.documents[attempt.job.id]
    assert (shown.state, desk.events.count(Event.CANCELLED)) == ("cancelled", 1)
    assert b'"cancel_requested_at":"2026-01-02' in shown.body


async def test_our_own_write_that_a_cancel_changed_is_recognised_too(desk: Desk) -> None:
    desk.script["settle"].append(lost())
    attempt = desk.attempt()
    desk.record.add(desk.job(attempt), cancel_requested_at=AT)
    await desk.settle(attempt)
    assert (desk.events.count(Event.STALE), desk.cache.documents[attempt.job.id].state) == (0, "cancelled")


async def test_a_cancelled_job_that_cannot_be_read_back_wakes_its_waiters_and_holds_up_no_other(
    desk: Desk,
) -> None:
    wakes: dict[str, Wake] = {}
    listening = asyncio.create_task(desk.cache.listen(wakes.update))
    gate = Gate()
    desk.script["settle"].append(gate)
    desk.script["look_up"].append(refused())
    first, cancelled, second = desk.attempt(), desk.attempt(), desk.attempt()
    desk.record.add(desk.job(cancelled), cancel_requested_at=AT)
    all_three = [asyncio.create_task(desk.settle(each)) for each in (first, cancelled, second)]
    await gate.reached.wait()
    gate.open.set()
    await asyncio.gather(*all_three)
    assert wakes.keys() == {each.job.id for each in (first, cancelled, second)}
    assert desk.cache.documents.keys() == {first.job.id, second.job.id}
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_cache_that_is_away_costs_the_announcement_and_nothing_else(desk: Desk) -> None:
    desk.cache.away = True
    attempt = desk.attempt()
    await desk.settle(attempt)
    assert (desk.job(attempt).state, desk.events.count(Event.ANNOUNCE_FAILED)) == ("succeeded", 1)


async def test_endings_that_come_together_are_written_together_and_answered_apart(desk: Desk) -> None:
    attempts = [desk.attempt() for _ in range(200)]
    stale = attempts[100]
    desk.record.add(desk.job(stale), fence=9)
    results = [b'{"value":%d}' % number for number in range(200)]
    await asyncio.gather(*map(desk.settle, attempts, results))
    shown = {each.job.id: result for each, result in zip(attempts, results, strict=True) if each is not stale}
    assert {job_id: document.result for job_id, document in desk.cache.documents.items()} == shown
    assert (desk.store.calls["settle"], desk.events.count(Event.STALE)) == (1, 1)


async def test_a_batch_of_large_results_is_split_before_the_record_chokes_on_it(desk: Desk) -> None:
    large = b'"' + b"x" * 1_000_000 + b'"'
    await asyncio.gather(*(desk.settle(desk.attempt(), large) for _ in range(10)))
    assert desk.store.calls["settle"] == 3


async def test_jobs_that_changed_in_another_way_are_announced(desk: Desk) -> None:
    attempt = desk.attempt()
    desk.settling.announce([attempt.job])
    await desk.settling.drain()
    assert desk.cache.announced == [{attempt.job.id: 2}]


async def test_progress_that_was_stored_is_announced_without_a_document(desk: Desk) -> None:
    desk.settling.announce_versions({"some-job": 4})
    await until(lambda: desk.cache.announced)
    assert (desk.cache.announced, desk.cache.documents) == ([{"some-job": 4}], {})
