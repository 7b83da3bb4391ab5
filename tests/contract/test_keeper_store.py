"""What every KeeperStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from sluice.core.access import Actor
from sluice.core.lifecycle import DEADLINE_PASSED, LOST_LIMIT, WORKER_LOST, succeeded
from tests.contract.conftest import PAST, Record
from tests.support.leases import rescue
from tests.support.make_jobs import new_job, new_jobs

QUEUE = ("default", "normal")


async def test_messages_are_taken_when_they_are_due_and_put_off(record: Record) -> None:
    ids = await record.accepted(*new_jobs(5, ids_per_message=2))
    await record.make_due()
    first, _ = await record.keeper.take_due_messages(3)
    assert sum(len(message.ids) for message in first) <= 3
    rest, dropped = await record.keeper.take_due_messages(100)
    assert sorted(each for message in [*first, *rest] for each in message.ids) == sorted(ids)
    assert (await record.keeper.take_due_messages(100), dropped) == (([], 0), 0)


async def test_messages_that_name_no_queued_job_are_dropped(record: Record) -> None:
    wanted, *void = await record.accepted(*new_jobs(3, ids_per_message=1))
    for job_id in void:
        await record.control.cancel("acme", job_id)
    await record.make_due()
    messages, dropped = await record.keeper.take_due_messages(100)
    assert ([message.ids for message in messages], dropped) == ([(wanted,)], 2)
    assert await record.outbox() == [("default", "normal", (wanted,))]


async def test_the_outbox_is_walked_through_for_what_is_void(record: Record) -> None:
    wanted, void, also = await record.accepted(*new_jobs(3, ids_per_message=1))
    await record.control.cancel("acme", void)
    last, dropped = await record.keeper.drop_void_messages(0, 2)
    assert (last > 0, await record.keeper.drop_void_messages(last, 2)) == (True, (0, 1 - dropped))
    assert {ids for *_, ids in await record.outbox()} == {(wanted,), (also,)}


async def test_scheduled_jobs_are_queued_in_their_time(record: Record) -> None:
    due, _ = await record.accepted(*new_jobs(2, delay_s=60))
    await record.change(due, {"run_at": PAST})
    assert await record.keeper.queue_due(10) == {due: 2}
    job = await record.job(due)
    assert (job.state, job.queued_at is None) == ("queued", False)
    assert await record.outbox() == [("default", "normal", (due,))]
    assert await record.keeper.queue_due(10) == {}


async def test_a_job_that_lost_its_consumer_is_queued_again(record: Record) -> None:
    lost, held = await record.claimed(), await record.claimed()
    await record.expire(lost.id)
    (rescued,) = await rescue(record.keeper)
    assert rescued == await record.job(lost.id)
    assert (rescued.state, rescued.version, rescued.attempt, rescued.crash_count) == ("queued", 3, 0, 1)
    error = orjson.loads(WORKER_LOST._replace(retryable=True).to_json(lost.kind, 1))
    assert orjson.loads(rescued.error or b"") == error
    assert (await record.outbox())[-1] == ("default", "normal", (lost.id,))
    assert await record.jobs.settle([succeeded(lost, b"1")]) == []
    assert (await rescue(record.keeper), (await record.job(held.id)).state) == ([], "running")


@pytest.mark.parametrize(
    ("crashes", "cancel", "state"), [(LOST_LIMIT - 1, False, "failed"), (0, True, "cancelled")]
)
async def test_a_job_that_lost_too_many_or_was_to_be_cancelled_ends(
    record: Record, crashes: int, cancel: bool, state: str
) -> None:
    job = await record.claimed()
    await record.change(job.id, {"crash_count": crashes})
    if cancel:
        await record.control.cancel("acme", job.id)
    await record.expire(job.id)
    (ended,) = await rescue(record.keeper)
    assert (ended.state, ended.finished_at is None) == (state, False)
    if state == "failed":
        assert orjson.loads(ended.error or b"") == orjson.loads(WORKER_LOST.to_json(job.kind, 1))


async def test_the_longest_overdue_fail_first(record: Record) -> None:
    ids = await record.accepted(
        new_job(deadline_s=60), new_job(deadline_s=60, delay_s=30), new_job(deadline_s=60)
    )
    await record.change(ids[0], {"deadline": PAST + timedelta(seconds=1)})
    await record.change(ids[1], {"deadline": PAST})
    for job_id in (ids[1], ids[0]):
        (failed,) = await record.keeper.fail_overdue(1)
        assert (failed.id, failed.state) == (job_id, "failed")
        assert failed == await record.job(job_id)
        assert orjson.loads(failed.error or b"") == orjson.loads(DEADLINE_PASSED.to_json(failed.kind, 0))
    assert await record.keeper.fail_overdue(1) == []


async def test_jobs_whose_messages_are_lost_are_offered_again_once(record: Record) -> None:
    old, new, low, running = await record.accepted(*new_jobs(2), new_job(priority="low"), new_job())
    await record.jobs.claim([running], {"demo.sum": 1})
    for job_id in (old, low):
        await record.offer_at(job_id, PAST)
    newest = PAST + timedelta(seconds=61)
    for again in (1, 0):
        assert await record.keeper.offer_lost({QUEUE: newest, ("heavy", "low"): newest}, 10) == again
    assert (await record.outbox())[-1] == ("default", "normal", (old,))
    assert (await record.job(old)).queued_at == (await record.job(new)).queued_at
    for again in (1, 0):
        assert await record.keeper.offer_lost({("default", "low"): None}, 10) == again
    assert (await record.outbox())[-1] == ("default", "low", (low,))


async def test_nothing_of_a_paused_lane_is_offered_again_until_it_is_resumed(record: Record) -> None:
    (waiting,) = await record.accepted(new_job())
    await record.offer_at(waiting, PAST)
    await record.lanes.pause_lane("default", "as asked", "ops", Actor("key"))
    for newest in (None, PAST + timedelta(seconds=61)):
        assert await record.keeper.offer_lost({QUEUE: newest}, 10) == 0
    await record.lanes.resume_lane("default", "ops", Actor("key"))
    assert await record.keeper.offer_lost({QUEUE: None}, 10) == 1


async def test_a_claim_that_is_still_to_come_by_a_clock_that_went_back_says_nothing_of_lost_messages(
    record: Record,
) -> None:
    (waiting,) = await record.accepted(new_job())
    await record.offer_at(waiting, PAST)
    assert await record.keeper.offer_lost({QUEUE: datetime(2999, 1, 1, tzinfo=UTC)}, 10) == 0


async def test_a_job_is_given_up_by_its_queue_only_after_a_while(record: Record) -> None:
    await record.accepted(new_job())
    assert await record.keeper.offer_lost({QUEUE: None}, 10) == 0


async def test_as_many_jobs_of_a_queue_are_offered_again_as_are_asked_for_the_oldest_first(
    record: Record,
) -> None:
    ids = await record.accepted(*new_jobs(3))
    for age, job_id in enumerate(ids):
        await record.offer_at(job_id, PAST - timedelta(seconds=age))
    assert await record.keeper.offer_lost({QUEUE: None}, 2) == 2
    assert set((await record.outbox())[-1][2]) == set(ids[1:])


async def test_no_more_jobs_are_offered_again_than_are_asked_for_in_all_queues(record: Record) -> None:
    queues = {("default", priority): None for priority in ("normal", "low")}
    for _, priority in queues:
        for job_id in await record.accepted(*new_jobs(2, priority=priority)):
            await record.offer_at(job_id, PAST)
    assert [await record.keeper.offer_lost(queues, 3) for _ in range(3)] == [3, 1, 0]


async def test_jobs_that_a_consumer_gives_back_are_offered_again_if_they_are_queued(record: Record) -> None:
    old, running = await record.accepted(*new_jobs(2))
    await record.jobs.claim([running], {"demo.sum": 1})
    assert await record.keeper.offer_ids([old, running, new_job().id]) == 1
    assert (await record.outbox())[-1] == ("default", "normal", (old,))


@pytest.mark.parametrize(("kind", "version"), [("strange", 1), ("demo.sum", 2)])
async def test_what_nobody_serves_is_not_offered_until_somebody_does(
    record: Record, kind: str, version: int
) -> None:
    (job_id,) = await record.accepted(new_job(kind=kind, handler_version=version))
    before = await record.outbox()
    assert await record.jobs.defer_unclaimed([job_id], {"demo.sum": 1}) == []
    await record.offer_at(job_id, PAST)
    assert (await record.keeper.offer_lost({QUEUE: None}, 10), await record.outbox()) == (0, before)
    await record.serve(kind, version + 1)
    assert [await record.keeper.offer_lost({QUEUE: None}, 10) for _ in range(2)] == [1, 0]
    assert (await record.outbox())[-1] == ("default", "normal", (job_id,))


@pytest.mark.parametrize(("kind", "version"), [("strange", 1), ("demo.sum", 2)])
async def test_a_kind_or_version_that_others_serve_is_offered_to_them(
    record: Record, kind: str, version: int
) -> None:
    (job_id,) = await record.accepted(new_job(kind=kind, handler_version=version))
    await record.serve(kind, version)
    await record.jobs.defer_unclaimed([job_id], {"demo.sum": 1})
    assert [ids for *_, ids in await record.outbox()] == [(job_id,)] * 2
