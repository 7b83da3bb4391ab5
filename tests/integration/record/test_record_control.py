"""What clients change after a submit: cancel, retry, delete, and the attempts they may see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest
import uuid_utils

from sluice.core.job import IdempotencyKeyUse, Job, Message
from sluice.core.lifecycle import Failure, Transition, failed, retried, succeeded
from tests.integration.record.record_fixture import KINDS, Record, body, ids_in
from tests.support.make_jobs import new_jobs

FAILURE = Failure("handler-error", "LookupError", "no such thing", True, "the traceback")
NOBODY = "01900000-0000-7000-8000-000000000000"
NONE = UUID(int=0)

Ending = Callable[[Job], Transition]
ENDINGS: dict[str, Ending] = {
    "succeeded": lambda job: succeeded(job, b"{}"),
    "failed": lambda job: failed(job, FAILURE),
}
endings = pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())


def an_id() -> str:
    return str(uuid_utils.uuid7())


async def ended(record: Record, ending: Ending = ENDINGS["failed"], **changes: object) -> Job:
    """A job that has ended."""
    job = await record.claimed(**changes)
    await record.store.settle([ending(job)])
    return await record.job(job.id)


async def cancelled(record: Record, job_id: str) -> Job:
    """The job as its cancel answers."""
    job = await record.control.cancel("acme", job_id)
    assert job
    assert body(job) == body(await record.job(job_id))
    return job


@pytest.mark.parametrize("changes", [{}, {"delay_s": 60}])
async def test_what_has_not_begun_is_cancelled_at_once(record: Record, changes: dict[str, float]) -> None:
    (job_id,) = await record.accepted(**changes)
    job = await cancelled(record, job_id)
    assert (job.state, job.version, job.fence, job.attempt) == ("cancelled", 2, 0, 0)
    assert job.finished_at == job.cancel_requested_at
    assert await record.store.claim([job_id], KINDS) == []
    assert await record.keeper.queue_due(10) == {}


async def test_what_waits_for_its_next_try_is_cancelled_at_once(record: Record) -> None:
    job = await record.claimed()
    await record.store.settle([retried(job, FAILURE, 30)])
    found = await cancelled(record, job.id)
    assert (found.state, found.attempt) == ("cancelled", 1)


async def test_what_runs_is_asked_to_stop_and_keeps_its_claim(record: Record) -> None:
    job = await record.claimed()
    found = await cancelled(record, job.id)
    assert (found.state, found.version, found.finished_at) == ("running", 3, None)
    again = await cancelled(record, job.id)
    assert again == found
    (settled,) = await record.store.settle([succeeded(job, b"{}")])
    assert settled.state == "cancelled"


@endings
async def test_what_has_ended_is_not_cancelled(record: Record, ending: Ending) -> None:
    job = await ended(record, ending)
    assert await record.control.cancel("acme", job.id) is None
    assert await record.job(job.id) == job


async def test_cancelled_work_makes_room_for_the_same_work(record: Record) -> None:
    pure = {"fingerprint": b"p" * 32, "flight": True}
    (job_id,) = await record.accepted(**pure)
    await cancelled(record, job_id)
    assert await record.store.find_same({b"p" * 32: 60.0}) == {}
    await record.accepted(**pure)


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_a_cancel_waits_for_a_claim_that_is_not_committed_and_heeds_its_end(
    record: Record, ending: str
) -> None:
    (job_id,) = await record.accepted()
    claim = """update jobs set state = 'running', fence = 1, attempt = 1, version = 2, owner = $2
               where id = $1"""
    async with record.locked(claim, UUID(job_id), record.owner.id) as rival:
        cancelling = asyncio.create_task(record.control.cancel("acme", job_id))
        await record.until_waiting()
        await rival.execute(ending)
        job = await cancelling
    assert job
    assert (job.state, job.version) == (("running", 3) if ending == "commit" else ("cancelled", 2))


async def test_a_cancel_that_comes_while_the_job_is_settled_leaves_it_as_it_ended(record: Record) -> None:
    job = await record.claimed()
    settle = """update jobs set state = 'succeeded', version = 3, owner = null,
                finished_at = now(), expires_at = now(), result = '1' where id = $1"""
    async with record.locked(settle, UUID(job.id)) as rival:
        cancelling = asyncio.create_task(record.control.cancel("acme", job.id))
        await record.until_waiting()
        await rival.execute("commit")
        assert await cancelling is None
    assert await record.state(job.id) == "succeeded"


async def test_a_failed_job_is_tried_again_as_it_was_submitted(record: Record) -> None:
    (new,) = new_jobs(
        1,
        lane="heavy",
        priority="low",
        max_attempts=2,
        timeout_s=7.5,
        tags="t",
        fingerprint=b"p" * 32,
        handler_version=2,
    )
    (job,) = await record.store.claim(await record.accepted(new), {"demo.sum": 2})
    await record.store.settle([ENDINGS["failed"](job)])
    await record.empty_outbox()
    new_id = an_id()
    messages = await record.control.retry("acme", job.id, new_id)
    (row,) = await record.outbox()
    assert messages == [Message(row.id, "heavy", "low", (new_id,))]
    assert (row.lane, row.priority, row.ids) == ("heavy", "low", [new_id])
    assert 0 < row.seconds <= record.settings.dispatch_due_s
    again = await record.control.find_retry("acme", job.id)
    assert again
    assert again == await record.job(new_id)
    assert (again.retry_of, again.state, again.version, again.fence) == (job.id, "queued", 1, 0)
    alike = ("tenant", "kind", "lane", "priority", "max_attempts", "timeout_s", "tags", "fingerprint")
    assert [getattr(again, name) for name in alike] == [getattr(job, name) for name in alike]
    rows = [await record.row(each) for each in (job.id, new_id)]
    assert [row["handler_version"] for row in rows] == [2, 2]
    (claimed,) = await record.store.claim([new_id], {"demo.sum": 2})
    assert claimed.input == (await record.row(job.id))["input"]


async def test_of_many_who_ask_at_once_one_makes_the_new_job(record: Record) -> None:
    job = await ended(record)
    made = await asyncio.gather(*(record.control.retry("acme", job.id, an_id()) for _ in range(10)))
    again = await record.control.find_retry("acme", job.id)
    assert again
    assert [each for messages in made for each in ids_in(messages)] == [again.id]


async def test_only_failed_jobs_are_tried_again(record: Record) -> None:
    (queued,) = await record.accepted()
    (gone,) = await record.accepted()
    await record.control.cancel("acme", gone)
    running, done = await record.claimed(), await ended(record, ENDINGS["succeeded"])
    for job_id in (queued, gone, running.id, done.id, NOBODY):
        assert await record.control.retry("acme", job_id, an_id()) == []
        assert await record.control.find_retry("acme", job_id) is None


@endings
async def test_a_deleted_job_and_its_attempts_are_gone(record: Record, ending: Ending) -> None:
    job, other = await ended(record, ending), await ended(record)
    assert await record.control.delete_job("acme", job.id)
    assert await record.store.look_up([job.id]) == {}
    assert await record.control.list_attempts(job.id) == []
    assert len(await record.control.list_attempts(other.id)) == 1
    assert not await record.control.delete_job("acme", job.id)


async def test_only_what_has_ended_is_deleted(record: Record) -> None:
    (queued,) = await record.accepted()
    (later,) = await record.accepted(delay_s=60)
    running = await record.claimed()
    for job_id in (queued, later, running.id, NOBODY):
        assert not await record.control.delete_job("acme", job_id)
    assert len(await record.store.look_up([queued, later, running.id])) == 3


async def test_the_result_of_a_deleted_job_is_not_found_and_an_older_one_is(record: Record) -> None:
    older = await ended(record, ENDINGS["succeeded"], fingerprint=b"p" * 32)
    newer = await ended(record, ENDINGS["succeeded"], fingerprint=b"p" * 32)
    await record.control.delete_job("acme", newer.id)
    found = await record.store.find_same({b"p" * 32: 60.0})
    assert found[b"p" * 32].id == older.id


async def test_the_keys_of_a_deleted_job_stand_for_nothing_and_the_others_stay(record: Record) -> None:
    job = await ended(record, key="own", request_hash=b"h")
    other = await ended(record, key="other", request_hash=b"h")
    assert await record.store.bind_idempotency_key("acme", "shared", IdempotencyKeyUse(b"h", job.id))
    await record.control.delete_job("acme", job.id)
    uses = await record.store.find_idempotency_keys([("acme", key) for key in ("own", "shared", "other")])
    assert {key: use.job_id for (_, key), use in uses.items()} == {
        "own": str(NONE),
        "shared": str(NONE),
        "other": other.id,
    }
    (running,) = await record.accepted()
    assert not await record.store.bind_idempotency_key("acme", "own", IdempotencyKeyUse(b"h", running))


async def test_each_attempt_has_its_own_start_and_end(record: Record) -> None:
    job = await record.claimed()
    moments: list[datetime | None] = []
    for number in range(3):
        await record.store.settle([retried(job, FAILURE, 0)])
        attempt = (await record.control.list_attempts(job.id))[number]
        assert attempt.started_at == job.started_at == (await record.job(job.id)).started_at
        moments += [attempt.started_at, attempt.finished_at]
        await record.keeper.queue_due(10)
        job = await record.claim(job.id)
    moments.append(job.started_at)
    assert all(one and other and one < other for one, other in pairwise(moments))


async def test_attempts_are_listed_in_order_with_all_that_is_known(record: Record) -> None:
    job = await record.claimed()
    await record.store.settle([retried(job, FAILURE, 0)])
    await record.keeper.queue_due(10)
    second = await record.claim(job.id)
    await record.expire(job.id)
    await record.rescue()
    first, lost = await record.control.list_attempts(job.id)
    assert (first.fence, first.attempt, first.outcome) == (1, 1, "handler-error")
    assert (first.error, first.traceback) == (FAILURE.to_json("demo.sum", 1), "the traceback")
    assert (first.started_at, lost.started_at) == (job.started_at, second.started_at)
    assert (lost.fence, lost.attempt, lost.outcome, lost.error, lost.traceback) == (
        2,
        second.attempt,
        "lease-lost",
        None,
        None,
    )
    assert lost.finished_at >= first.finished_at


async def test_nobody_changes_what_belongs_to_another_tenant(record: Record) -> None:
    (queued,) = await record.accepted()
    bad = await ended(record)
    before = await record.store.look_up([queued, bad.id])
    assert await record.control.cancel("other", queued) is None
    assert await record.control.retry("other", bad.id, an_id()) == []
    assert not await record.control.delete_job("other", bad.id)
    assert await record.control.retry("acme", bad.id, an_id())
    assert await record.control.find_retry("other", bad.id) is None
    assert await record.store.look_up([queued, bad.id]) == before


async def test_cancels_claims_and_accepts_at_once_end_without_deadlock(record: Record) -> None:
    ids = await record.accepted(*new_jobs(200))

    async def cancel(order: list[str]) -> list[Job | None]:
        return [await record.control.cancel("acme", job_id) for job_id in order]

    claiming = [record.other().claim(ids[start::2], KINDS) for start in range(2)]
    accepting = [record.store.accept(new_jobs(50)) for _ in range(2)]
    cancelling = [cancel(ids[::step]) for step in (1, -1)]
    await asyncio.gather(*claiming, *accepting, *cancelling)
    states = await record.sql.fetch("select state from jobs where id = any($1)", ids)
    assert {row["state"] for row in states} <= {"cancelled", "running"}
    asked = "select count(*) from jobs where cancel_requested_at is not null"
    assert await record.sql.fetchval(asked) == 200
