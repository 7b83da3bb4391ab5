"""Settle: endings written once, however the record behaves, and shown as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from uuid import UUID

import orjson
import pytest

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.settling import MOST_REFUSALS, REPORTED, Settling
from sluice.core.catalogue import describe
from sluice.core.document import render
from sluice.core.errors import BadRow, TryAgain
from sluice.core.job import Job, JobState
from sluice.core.outcome import ChildDied, Ending, HandlerFailed, Released, judge
from sluice.core.ports import Wake
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import GiveUp, RetryLater
from sluice.retry import RetryPolicy
from tests.support.fake_record import FakeRecord
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import FaultyStore, Gate, lost, refused
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import a_job


class Setup:
    """Settling over a scripted record."""

    def __init__(self) -> None:
        self.record = FakeRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.events, self.cache = Events(), FakeCache()
        store, telemetry = self.store.port, Telemetry(self.events)
        self.announcer = Announcer(store, self.cache, telemetry)
        self.settling = Settling(store, self.announcer, telemetry, pauses_s=[0])

    def attempt(self, **changes: object) -> Attempt:
        """An attempt at a job that the record shows as running."""
        job = a_job(kinds.echo, {"number": 1}, started_at=AT, progress=b'{"percent":50}', **changes)
        self.record.add(job)
        return Attempt(job, describe(kinds.echo))

    def job(self, attempt: Attempt) -> Job:
        return self.record.jobs[attempt.job.id]

    async def settle(self, attempt: Attempt, ending: Ending = b'{"value":1}') -> None:
        await self.settling.settle(attempt, judge(attempt.job, ending, RetryPolicy(), Random(1)))
        await self.drain()

    async def drain(self) -> None:
        await self.settling.drain()
        await self.announcer.drain()


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    yield setup
    await asyncio.wait_for(setup.drain(), 5)


async def test_the_document_shown_is_byte_for_byte_that_of_the_record(setup: Setup) -> None:
    attempt = setup.attempt()
    await setup.settle(attempt)
    job = setup.job(attempt)._replace(progress=None)
    assert setup.cache.documents[job.id] == render(job)
    assert setup.cache.announced == [{job.id: 3}]


@pytest.mark.parametrize(
    ("ending", "state", "event"),
    [
        (b"1", "succeeded", Event.SUCCEEDED),
        (GiveUp("no"), "failed", Event.FAILED),
        (ValueError("again"), "scheduled", Event.RETRIED),
        (Released(), "queued", Event.RELEASED),
        (RetryLater(5), "scheduled", Event.POSTPONED),
        (ChildDied("killed"), "queued", Event.RETRIED),
    ],
)
async def test_every_ending_is_written_counted_and_announced(
    setup: Setup, ending: Ending, state: str, event: Event
) -> None:
    attempt = setup.attempt()
    await setup.settle(attempt, ending)
    assert (setup.job(attempt).state, setup.events.count(event)) == (state, 1)
    assert setup.cache.announced == [{attempt.job.id: 3}]
    assert bool(setup.cache.documents) == (state in ("succeeded", "failed"))


async def test_each_failure_is_reported_with_all_that_its_line_says(setup: Setup) -> None:
    again, last = setup.attempt(attempt=2), setup.attempt(attempt=5)
    for attempt in (again, last):
        await setup.settle(attempt, HandlerFailed("KeyError", "'a'", "in line 1"))
    said = {"kind": "t.echo", "type": "handler-error", "error": "KeyError: 'a'", "traceback": "in line 1"}
    assert setup.events == [
        (Event.RETRIED, 1, {"job_id": again.job.id, "attempt": 2} | said),
        (Event.FAILED, 1, {"job_id": last.job.id, "attempt": 5} | said),
    ]


async def test_a_failure_after_a_cancel_is_a_cancel(setup: Setup) -> None:
    attempt = setup.attempt(cancel_requested_at=AT)
    await setup.settle(attempt, GiveUp("no"))
    assert setup.events == [(Event.CANCELLED, 1, {})]


async def test_a_failure_is_reported_once_though_the_reply_was_lost(setup: Setup) -> None:
    setup.script["settle"].append(lost())
    await setup.settle(setup.attempt(), GiveUp("no"))
    assert [each["error"] for each in setup.events.fields(Event.FAILED)] == ["The handler gave up: no"]


@pytest.mark.parametrize("error", [None, TryAgain(), BadRow()])
async def test_an_ending_is_kept_until_the_record_takes_it(setup: Setup, error: Exception | None) -> None:
    setup.script["settle"] += [refused(error)] * 5
    attempt = setup.attempt()
    await setup.settle(attempt)
    assert setup.job(attempt).state == "succeeded"
    assert (setup.events.count(Event.SUCCEEDED), setup.events.count(Event.STALE)) == (1, 0)


async def test_an_ending_outlives_its_lease_where_nobody_took_the_job_meanwhile(setup: Setup) -> None:
    attempt = setup.attempt()
    gate = Gate()
    setup.script["settle"] += [refused()] * 3 + [gate, refused(), refused(TryAgain())]
    settling = asyncio.create_task(setup.settle(attempt))
    await gate.reached.wait()
    attempt.lose_lease()
    gate.open.set()
    await settling
    assert (setup.job(attempt).state, setup.events.count(Event.STALE)) == ("succeeded", 0)


async def test_an_ending_that_outlived_its_lease_is_refused_where_the_job_was_taken(setup: Setup) -> None:
    attempt = setup.attempt()
    attempt.lose_lease()
    setup.script["settle"] += [refused()] * 3
    setup.record.add(setup.job(attempt), fence=2)
    await setup.settle(attempt)
    assert (setup.job(attempt).state, setup.events.count(Event.STALE)) == ("running", 1)


async def test_an_ending_waits_for_a_lock_and_that_is_reported_where_it_is_long(setup: Setup) -> None:
    attempt = setup.attempt()
    setup.record.owned.add(attempt.job.id)
    setup.record.locked.add(attempt.job.id)
    settling = asyncio.create_task(setup.settle(attempt))
    await until(lambda: setup.events.count(Event.DUTY_FAILED) > 1)
    assert (setup.store.calls["settle"] // REPORTED, setup.job(attempt).state) == (2, "running")
    setup.record.locked.clear()
    await settling
    assert (setup.job(attempt).state, setup.events.count(Event.STALE)) == ("succeeded", 0)
    assert setup.events.fields(Event.DUTY_FAILED)[0] == {
        "duty": "settle",
        "why": f"job {attempt.job.id} is locked",
    }


async def test_a_job_whose_output_the_record_goes_on_refusing_fails_and_says_so(setup: Setup) -> None:
    attempt = setup.attempt()
    setup.script["settle"] += [refused(BadRow("no such number"))] * MOST_REFUSALS
    await setup.settle(attempt)
    told = orjson.loads(setup.job(attempt).error or b"{}")
    assert (setup.job(attempt).state, told["type"], told["detail"]) == (
        "failed",
        "bad-output",
        "no such number",
    )
    assert [each["type"] for each in setup.events.fields(Event.FAILED)] == ["bad-output"]
    assert setup.cache.documents[attempt.job.id] == render(setup.job(attempt)._replace(progress=None))


async def test_fewer_refusals_do_not_make_a_failure_of_it(setup: Setup) -> None:
    attempt = setup.attempt()
    setup.script["settle"] += [refused()] * MOST_REFUSALS + [refused(BadRow())] * (MOST_REFUSALS - 1)
    await setup.settle(attempt)
    assert (setup.job(attempt).state, setup.events.count(Event.FAILED)) == ("succeeded", 0)


async def test_an_unforeseen_error_is_reported_and_the_ending_written_after_all(setup: Setup) -> None:
    setup.script["settle"] += [refused(RuntimeError("odd")), refused(RuntimeError("odd"))]
    attempt = setup.attempt()
    await setup.settle(attempt)
    assert setup.job(attempt).state == "succeeded"
    assert setup.events.fields(Event.DUTY_FAILED) == [{"duty": "settle", "why": "RuntimeError('odd')"}] * 2


async def test_a_server_that_is_away_is_not_reported_here(setup: Setup) -> None:
    setup.script["settle"] += [refused(), refused(TryAgain()), refused(BadRow())]
    await setup.settle(setup.attempt())
    assert setup.events.count(Event.DUTY_FAILED) == 0


async def test_a_write_whose_reply_was_lost_is_recognised_as_our_own(setup: Setup) -> None:
    setup.script["settle"].append(lost())
    attempt = setup.attempt()
    await setup.settle(attempt)
    assert setup.events.count(Event.STALE) == 0
    assert setup.cache.documents[attempt.job.id] == render(setup.job(attempt)._replace(progress=None))


async def test_a_record_that_goes_away_again_is_asked_again_whether_the_write_was_ours(setup: Setup) -> None:
    setup.script["settle"].append(lost())
    setup.script["look_up"] += [refused(), refused()]
    attempt = setup.attempt()
    await setup.settle(attempt)
    assert (setup.events.count(Event.STALE), setup.store.calls["look_up"]) == (0, 3)
    assert attempt.job.id in setup.cache.documents


@pytest.mark.parametrize("changes", [{"fence": 2}, {"owner": UUID(int=1)}, {"state": JobState.FAILED}])
async def test_a_refused_ending_is_stale_counted_and_never_shown(
    setup: Setup, changes: dict[str, object]
) -> None:
    attempt = setup.attempt()
    setup.record.add(setup.job(attempt), **changes)
    await setup.settle(attempt)
    assert setup.events.fields(Event.STALE) == [{"job_id": attempt.job.id, "fence": 1}]
    assert (setup.cache.documents, setup.cache.announced) == ({}, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"fence": 2},
        {"state": JobState.FAILED},
        {"fence": 2, "state": JobState.SUCCEEDED},
        {"state": JobState.SUCCEEDED, "result": b"theirs"},
    ],
)
async def test_another_ones_write_is_not_taken_for_ours_after_a_lost_reply(
    setup: Setup, changes: dict[str, object]
) -> None:
    setup.script["settle"].append(refused())
    attempt = setup.attempt()
    setup.record.add(setup.job(attempt), **changes)
    await setup.settle(attempt)
    assert (setup.events.count(Event.STALE), setup.cache.documents) == (1, {})


async def test_an_error_that_another_wrote_is_not_shown_as_ours(setup: Setup) -> None:
    setup.script["settle"].append(refused())
    attempt = setup.attempt()
    setup.record.add(setup.job(attempt), state=JobState.FAILED, error=b'{"type":"worker-lost"}')
    await setup.settle(attempt, GiveUp("no"))
    assert (setup.events.count(Event.STALE), setup.cache.documents) == (1, {})


async def test_a_job_that_is_gone_from_the_record_is_stale(setup: Setup) -> None:
    setup.script["settle"].append(refused())
    attempt = setup.attempt()
    setup.record.jobs.clear()
    await setup.settle(attempt)
    assert setup.events.count(Event.STALE) == 1


async def test_a_requested_cancel_is_shown_with_the_time_that_only_the_record_knows(setup: Setup) -> None:
    attempt = setup.attempt()
    setup.record.add(setup.job(attempt), cancel_requested_at=AT)
    await setup.settle(attempt)
    shown = setup.cache.documents[attempt.job.id]
    assert (shown.state, setup.events.count(Event.CANCELLED)) == ("cancelled", 1)
    assert b'"cancel_requested_at":"2026-01-02' in shown.body


async def test_our_own_write_that_a_cancel_changed_is_recognised_too(setup: Setup) -> None:
    setup.script["settle"].append(lost())
    attempt = setup.attempt()
    setup.record.add(setup.job(attempt), cancel_requested_at=AT)
    await setup.settle(attempt)
    assert (setup.events.count(Event.STALE), setup.cache.documents[attempt.job.id].state) == (0, "cancelled")


async def test_a_cancelled_job_that_cannot_be_read_back_wakes_its_waiters_and_holds_up_no_other(
    setup: Setup,
) -> None:
    wakes: dict[str, Wake] = {}
    listening = asyncio.create_task(setup.cache.listen(wakes.update))
    gate = Gate()
    setup.script["settle"].append(gate)
    setup.script["look_up"].append(refused())
    first, cancelled, second = setup.attempt(), setup.attempt(), setup.attempt()
    setup.record.add(setup.job(cancelled), cancel_requested_at=AT)
    all_three = [asyncio.create_task(setup.settle(each)) for each in (first, cancelled, second)]
    await gate.reached.wait()
    gate.open.set()
    await asyncio.gather(*all_three)
    assert wakes.keys() == {each.job.id for each in (first, cancelled, second)}
    assert setup.cache.documents.keys() == {first.job.id, second.job.id}
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_cache_that_is_away_costs_the_announcement_and_nothing_else(setup: Setup) -> None:
    setup.cache.away = True
    attempt = setup.attempt()
    await setup.settle(attempt)
    assert (setup.job(attempt).state, setup.events.count(Event.ANNOUNCE_FAILED)) == ("succeeded", 1)


async def test_endings_that_come_together_are_written_together_and_answered_apart(setup: Setup) -> None:
    attempts = [setup.attempt() for _ in range(200)]
    stale = attempts[100]
    setup.record.add(setup.job(stale), fence=9)
    results = [b'{"value":%d}' % number for number in range(200)]
    await asyncio.gather(*map(setup.settle, attempts, results))
    shown = {each.job.id: result for each, result in zip(attempts, results, strict=True) if each is not stale}
    assert {job_id: document.result for job_id, document in setup.cache.documents.items()} == shown
    assert (setup.store.calls["settle"], setup.events.count(Event.STALE)) == (1, 1)


async def test_a_batch_of_large_results_is_split_before_the_record_chokes_on_it(setup: Setup) -> None:
    large = b'"' + b"x" * 1_000_000 + b'"'
    await asyncio.gather(*(setup.settle(setup.attempt(), large) for _ in range(10)))
    assert setup.store.calls["settle"] == 3


async def test_endings_are_written_a_bounded_number_of_bytes_at_a_time(setup: Setup) -> None:
    gate, result = Gate(), b'"%01000000d"' % 0
    setup.script["settle"].append(gate)
    running = [asyncio.create_task(setup.settle(setup.attempt(), result)) for _ in range(9)]
    await gate.reached.wait()
    assert not setup.settling.has_room
    gate.open.set()
    await asyncio.gather(*running)
    assert setup.settling.has_room
    assert setup.store.calls["settle"] == 3, "four megabytes each, and what is left"
