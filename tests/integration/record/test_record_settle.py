"""Settle: endings are taken once, from whoever holds the fence, and a cancel that was asked for wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.settling import Settling
from sluice.adapters.postgres.lease_store import PostgresLeaseStore, Serves
from sluice.core.catalogue import describe
from sluice.core.document import render
from sluice.core.errors import BadRow
from sluice.core.job import Job
from sluice.core.lifecycle import (
    SOLO_CRASH_LIMIT,
    Failure,
    Transition,
    crashed,
    failed,
    postponed,
    released,
    retried,
    succeeded,
)
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.kinds.demo_sum import add_up
from tests.integration.record.record_fixture import KINDS, Record, body
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import ids_of, new_job, new_jobs

FAILURE = Failure("handler-error", "LookupError", "no such thing", True, "the traceback")
ENDINGS: dict[str, Callable[[Job], Transition]] = {
    "succeeded": lambda job: succeeded(job, b'{"total":3}'),
    "failed": lambda job: failed(job, FAILURE),
    "retried": lambda job: retried(job, FAILURE, 30),
    "postponed": lambda job: postponed(job, 30),
    "released": released,
    "crashed": lambda job: crashed(job, FAILURE),
}
endings = pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())


async def settle_one(record: Record, transition: Transition) -> tuple[str, int]:
    """Settle it; its state and version as answered."""
    (settled,) = await record.store.settle([transition])
    assert (settled.id, settled.fence) == (transition.id, transition.fence)
    return settled.state, settled.version


@endings
async def test_a_run_whose_claim_a_failover_undid_ends_nothing_of_the_next_that_has_its_fence(
    record: Record, ending: Callable[[Job], Transition]
) -> None:
    new = new_job()
    first = await record.claimed(new)
    await record.sql.execute("delete from jobs")
    await record.accepted(new)
    (second,) = await record.other().claim([new.id], KINDS)
    await record.ask_to_cancel(new.id)
    assert first.fence == second.fence
    before = await record.row(new.id)
    lease = PostgresLeaseStore(record.sql, record.owner, Serves(["default"], KINDS), 60)
    assert await record.store.settle([ending(first)]) == []
    assert await lease.store_progress({first.claim: b"1"}) == {}
    assert await lease.find_cancels([first.claim]) == []
    assert await record.row(new.id) == before
    (settled,) = await record.store.settle([ending(first), ending(second)])
    assert settled.owner == second.owner


async def test_success_keeps_the_very_bytes_of_the_result(record: Record) -> None:
    job = await record.claimed()
    result = b'{"b":1,"a":"\\u0000 \xc3\xbc"}'
    assert await settle_one(record, succeeded(job, result)) == ("succeeded", 3)
    row = await record.row(job.id)
    assert (row["result"], row["error"], row["owner"]) == (result, None, None)
    assert await record.attempts(job.id) == []


async def test_failure_keeps_the_problem_and_leaves_the_traceback_to_the_attempts(record: Record) -> None:
    job = await record.claimed()
    assert await settle_one(record, failed(job, FAILURE)) == ("failed", 3)
    document = body(await record.job(job.id))
    assert orjson.loads(document)["error"] == {
        "type": "handler-error",
        "title": "LookupError",
        "detail": "no such thing",
        "retryable": True,
        "attempt": 1,
        "fingerprint": FAILURE.fingerprint("demo.sum"),
    }
    assert (await record.row(job.id))["error_fingerprint"] == FAILURE.fingerprint("demo.sum")
    assert b"traceback" not in document
    (attempt,) = await record.attempts(job.id)
    assert (attempt["fence"], attempt["attempt"], attempt["outcome"]) == (1, 1, "handler-error")
    assert attempt["traceback"] == "the traceback"
    assert attempt["started_at"] == job.started_at


async def test_a_retry_is_scheduled_after_its_wait_and_counted(record: Record) -> None:
    job = await record.claimed()
    await record.empty_outbox()
    assert await settle_one(record, retried(job, FAILURE, 30)) == ("scheduled", 3)
    row = await record.row(job.id)
    wait = await record.sql.fetchval("select extract(epoch from run_at - now())::float8 from jobs")
    assert 29 < wait <= 30
    assert (row["attempt"], row["finished_at"], row["error_fingerprint"]) == (1, None, None)
    assert await record.outbox() == []
    assert len(await record.attempts(job.id)) == 1


async def test_a_postponed_try_is_not_counted(record: Record) -> None:
    job = await record.claimed()
    ending = postponed(job, 30, "not yet")
    assert await settle_one(record, ending) == ("scheduled", 3)
    assert (await record.row(job.id))["attempt"] == 0
    (attempt,) = await record.attempts(job.id)
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]) == (1, "postponed", ending.error)


async def test_what_is_given_back_is_offered_at_once_and_not_counted(record: Record) -> None:
    job = await record.claimed(lane="heavy", priority="high")
    await record.empty_outbox()
    assert await settle_one(record, released(job)) == ("queued", 3)
    (row,) = await record.outbox()
    assert (row.lane, row.priority, row.ids) == ("heavy", "high", [job.id])
    assert row.seconds <= 0
    assert (await record.row(job.id))["attempt"] == 0
    again = await record.claim(job.id)
    assert (again.fence, again.attempt) == (2, 1)


async def test_crashes_alone_are_counted_until_the_job_has_failed(record: Record) -> None:
    job = await record.claimed()
    for times in range(1, SOLO_CRASH_LIMIT):
        assert (await settle_one(record, crashed(job, FAILURE)))[0] == "queued"
        job = await record.claim(job.id)
        assert (job.crash_count, job.solo_crashes, job.attempt) == (times, times, 1)
    assert (await settle_one(record, crashed(job, FAILURE)))[0] == "failed"
    assert (await record.row(job.id))["solo_crashes"] == SOLO_CRASH_LIMIT
    assert [row["fence"] for row in await record.attempts(job.id)] == [1, 2, 3]


@endings
async def test_an_ending_with_an_old_fence_changes_nothing(
    record: Record, ending: Callable[[Job], Transition]
) -> None:
    old = await record.claimed()
    await record.give_back(old)
    await record.claim(old.id)
    await record.empty_outbox()
    before, tries = await record.row(old.id), await record.attempts(old.id)
    assert await record.store.settle([ending(old)]) == []
    assert await record.row(old.id) == before
    assert await record.attempts(old.id) == tries
    assert await record.outbox() == []


@endings
async def test_an_ending_that_comes_twice_is_taken_once(
    record: Record, ending: Callable[[Job], Transition]
) -> None:
    job = await record.claimed()
    assert len(await record.store.settle([ending(job)])) == 1
    before, tries = await record.row(job.id), await record.attempts(job.id)
    assert await record.store.settle([succeeded(job, b"later")]) == []
    assert await record.row(job.id) == before
    assert await record.attempts(job.id) == tries


@endings
async def test_a_cancel_that_was_asked_for_wins_over_every_ending(
    record: Record, ending: Callable[[Job], Transition]
) -> None:
    job = await record.claimed()
    await record.ask_to_cancel(job.id)
    await record.empty_outbox()
    assert (await settle_one(record, ending(job)))[0] == "cancelled"
    row = await record.row(job.id)
    assert (row["result"], row["finished_at"] is not None, row["owner"]) == (None, True, None)
    assert row["error_fingerprint"] is None
    assert await record.outbox() == []
    document = orjson.loads(body(await record.job(job.id)))
    assert (document["result"], document["error"]) == (None, None)


async def test_stale_endings_do_not_hold_up_the_others_of_their_batch(record: Record) -> None:
    ids = await record.accepted(*new_jobs(6))
    jobs = await record.store.claim(ids, KINDS)
    await record.give_back(*jobs[:3])
    settled = await record.store.settle([succeeded(job, b"{}") for job in jobs])
    assert sorted(each.id for each in settled) == sorted(ids_of(jobs[3:]))


async def test_endings_of_many_jobs_in_opposite_orders_never_deadlock(record: Record) -> None:
    jobs = await record.store.claim(await record.accepted(*new_jobs(100)), KINDS)
    endings = [succeeded(job, b"{}") for job in jobs]
    found = await asyncio.gather(
        *(record.store.settle(endings[:: 1 if turn % 2 else -1]) for turn in range(8))
    )
    assert sum(map(len, found)) == len(jobs)


@pytest.mark.parametrize("ending", [ENDINGS["succeeded"], ENDINGS["failed"]], ids=["succeeded", "failed"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["", "cancelled"])
async def test_the_document_that_is_announced_is_byte_for_byte_what_a_look_up_shows(
    record: Record, ending: Callable[[Job], Transition], cancelled: bool
) -> None:
    job = await record.claimed(tags="t", deadline_s=60, timeout_s=4.5, run_at=None)
    await record.change(job.id, "progress = '{\"percent\":50}'")
    job = (await record.store.recover_lost_claims([job.id]))[0]
    if cancelled:
        await record.ask_to_cancel(job.id)
    cache, events = FakeCache(), Events()
    announcer = Announcer(record.store, cache, Telemetry(events))
    settling = Settling(record.store, announcer, Telemetry(events))
    await settling.settle(Attempt(job, describe(add_up)), ending(job))
    await settling.drain()
    await announcer.drain()
    assert cache.documents == {job.id: render(await record.job(job.id))}
    assert events.count(Event.CANCELLED) == cancelled


async def test_a_job_retried_before_shows_the_same_document_at_its_end(record: Record) -> None:
    job = await record.claimed()
    await record.store.settle([retried(job, FAILURE, 0)])
    assert job.id in await record.keeper.queue_due(10)
    job, cache = await record.claim(job.id), FakeCache()
    announcer = Announcer(record.store, cache, Telemetry())
    settling = Settling(record.store, announcer, Telemetry())
    await settling.settle(Attempt(job, describe(add_up)), succeeded(job, b"{}"))
    await settling.drain()
    await announcer.drain()
    assert cache.documents == {job.id: render(await record.job(job.id))}


async def test_an_ending_of_a_locked_job_holds_up_no_other_and_is_written_once_that_is_free(
    record: Record,
) -> None:
    held, free = await record.claimed(), await record.claimed()
    announcer, events = Announcer(record.store, FakeCache(), Telemetry()), Events()
    settling = Settling(record.store, announcer, Telemetry(events))
    async with record.locked("select from jobs where id = $1 for update", held.id):
        endings = [succeeded(job, b"{}") for job in (held, free)]
        assert [each.id for each in await record.store.settle(endings)] == [free.id]
        waiting = asyncio.create_task(settling.settle(Attempt(held, describe(add_up)), endings[0]))
        await asyncio.wait({waiting}, timeout=0.2)  # some tries
        assert (await record.state(held.id), waiting.done()) == ("running", False)
    await waiting
    await announcer.drain()
    assert (await record.state(held.id), events.count(Event.STALE)) == ("succeeded", 0)


async def test_an_ending_the_record_cannot_keep_is_told_from_one_it_does_not_want(record: Record) -> None:
    job = await record.claimed()
    with pytest.raises(BadRow):
        await record.store.settle([succeeded(job, b"{}")._replace(state=_no_state())])
    assert await record.state(job.id) == "running"


def _no_state() -> Any:
    return "half-done"


async def test_the_newest_attempts_are_listed(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.sql.execute(
        "insert into attempts (job_id, fence, attempt, outcome) select $1, n, 1, 'x' from generate_series(1, 250) as n",
        job_id,
    )
    listed = await record.control.list_attempts(job_id)
    assert [each.fence for each in listed] == list(range(51, 251))
