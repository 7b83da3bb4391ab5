"""The keeper's statements: what fell silent, what is due, and what RabbitMQ has lost comes back, each by one keeper at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.core.lifecycle import LOST_LIMIT, Failure, retried, succeeded
from tests.integration.record.record_fixture import KINDS, Record, body, ids_in
from tests.support.make_jobs import ids_of, new_job, new_jobs

DUE_NOW = "update outbox set due = now()"


async def test_a_job_whose_consumer_died_is_queued_again_and_nothing_is_charged(record: Record) -> None:
    job = await record.claimed(lane="heavy", priority="high")
    await record.change(job.id, "progress = '{}'")
    await record.expire(job.id)
    await record.empty_outbox()
    (rescued,) = await record.keeper.rescue(10)
    assert (rescued.id, rescued.state, rescued.version, rescued.attempt) == (job.id, "queued", 3, 0)
    assert (rescued.crash_count, rescued.solo_crashes, rescued.progress) == (1, 0, None)
    assert body(rescued) == body(await record.job(job.id))
    (row,) = await record.outbox()
    assert (row.lane, row.priority, row.ids) == ("heavy", "high", [job.id])
    (attempt,) = await record.attempts(job.id)
    assert (attempt["outcome"], attempt["attempt"], attempt["owner"]) == ("lease-lost", 1, record.owner)


async def test_a_lease_that_holds_is_left_alone(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.other(lease_s=60).claim([job_id], KINDS)
    assert await record.keeper.rescue(10) == []
    assert await record.state(job_id) == "running"


async def test_the_death_of_a_consumer_is_charged_to_nobody_and_ten_are_the_end(record: Record) -> None:
    job = await record.claimed()
    for crashes in range(LOST_LIMIT):
        assert (job.crash_count, job.solo_crashes) == (crashes, 0)
        await record.expire(job.id)
        (rescued,) = await record.keeper.rescue(10)
        if crashes < LOST_LIMIT - 1:
            assert (await record.row(job.id))["error_fingerprint"] is None
            job = await record.claim(job.id)
    assert (rescued.state, rescued.crash_count, rescued.solo_crashes) == ("failed", LOST_LIMIT, 0)
    assert body(rescued) == body(await record.job(job.id))
    error = orjson.loads(body(rescued))["error"]
    assert (error["type"], error["attempt"], error["retryable"]) == ("worker-lost", 1, False)
    own = Failure("worker-lost", error["title"]).fingerprint("demo.sum")
    assert (error["fingerprint"], (await record.row(job.id))["error_fingerprint"]) == (own, own)
    assert [row["fence"] for row in await record.attempts(job.id)] == list(range(1, LOST_LIMIT + 1))


@pytest.mark.parametrize("crashes", [0, LOST_LIMIT - 1])
async def test_a_cancel_that_was_asked_for_wins_over_a_rescue(record: Record, crashes: int) -> None:
    job = await record.claimed()
    await record.change(job.id, f"crash_count = {crashes}")
    await record.ask_to_cancel(job.id)
    await record.expire(job.id)
    await record.empty_outbox()
    (rescued,) = await record.keeper.rescue(10)
    assert (rescued.state, rescued.finished_at is not None) == ("cancelled", True)
    assert body(rescued) == body(await record.job(job.id))
    assert orjson.loads(body(rescued))["error"] is None
    assert (await record.row(job.id))["error_fingerprint"] is None
    assert await record.outbox() == []


async def test_nobody_is_rescued_until_postgresql_has_been_up_for_one_lease(record: Record) -> None:
    job = await record.claimed()
    await record.expire(job.id)
    assert await PostgresKeeperStore(record.database, lease_s=86_400).rescue(10) == []
    assert ids_of(await record.keeper.rescue(10)) == [job.id]


async def test_a_rescued_job_is_lost_to_its_old_consumer(record: Record) -> None:
    job = await record.claimed()
    await record.expire(job.id)
    await record.keeper.rescue(10)
    assert await record.store.settle([succeeded(job, b"{}")]) == []
    await record.claim(job.id)
    assert await record.store.settle([succeeded(job, b"{}")]) == []


async def test_a_rescue_takes_no_more_than_it_may(record: Record) -> None:
    ids = await record.accepted(*new_jobs(5))
    await record.store.claim(ids, KINDS)
    await record.expire(*ids)
    assert [len(await record.keeper.rescue(2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_scheduled_jobs_are_queued_when_their_time_has_come(record: Record) -> None:
    due, later = await record.accepted(new_job(delay_s=60, lane="heavy"), new_job(delay_s=60))
    retry = await record.claimed()
    await record.store.settle([retried(retry, Failure("x", "y"), 60)])
    await record.empty_outbox()
    for job_id in (due, retry.id):
        await record.change(job_id, "run_at = now()")
    assert await record.keeper.queue_due(10) == {due: 2, retry.id: 4}
    assert sorted((row.lane, *row.ids) for row in await record.outbox()) == [
        ("default", retry.id),
        ("heavy", due),
    ]
    assert (await record.row(due))["queued_at"] is not None
    assert await record.state(later) == "scheduled"
    assert await record.keeper.queue_due(10) == {}


async def test_the_longest_due_are_queued_first(record: Record) -> None:
    ids = await record.accepted(*new_jobs(4, delay_s=60))
    for age, job_id in enumerate(ids):
        await record.change(job_id, f"run_at = now() - interval '{age} seconds'")
    assert set(await record.keeper.queue_due(2)) == set(ids[2:])


async def test_messages_that_are_due_are_taken_and_put_off(record: Record) -> None:
    accepted = await record.store.accept(new_jobs(3, ids_per_message=2))
    assert await record.keeper.take_due_messages(100) == ([], 0)
    await record.sql.execute(DUE_NOW)
    messages, dropped = await record.keeper.take_due_messages(100)
    assert sorted(messages) == sorted(accepted.messages)
    assert dropped == 0
    assert all(29 < row.seconds <= 30 for row in await record.outbox())
    assert await record.keeper.take_due_messages(100) == ([], 0)


async def test_messages_that_name_no_queued_job_are_dropped(record: Record) -> None:
    await record.accepted(*new_jobs(6, ids_per_message=2))
    first, second, third = await record.outbox()
    await record.store.claim([*first.ids, *second.ids, third.ids[0]], KINDS)
    await record.sql.execute(DUE_NOW)
    messages, dropped = await record.keeper.take_due_messages(100)
    assert ids_in(messages) == third.ids
    assert dropped == 2
    assert [row.id for row in await record.outbox()] == [third.id]


async def test_no_more_ids_are_taken_than_the_limit_but_a_larger_message_goes_alone(record: Record) -> None:
    await record.accepted(*new_jobs(9, ids_per_message=3))
    await record.sql.execute(DUE_NOW)
    assert [len(ids_in((await record.keeper.take_due_messages(6))[0])) for _ in range(3)] == [6, 3, 0]
    await record.sql.execute(DUE_NOW)
    assert [len(ids_in((await record.keeper.take_due_messages(1))[0])) for _ in range(4)] == [3, 3, 3, 0]


async def test_messages_that_were_due_for_longest_go_first(record: Record) -> None:
    await record.accepted(*new_jobs(600, ids_per_message=1))
    await record.sql.execute("update outbox set due = now() - id * interval '1 second'")
    newest_ids = {row.id for row in (await record.outbox())[-500:]}
    messages, _ = await record.keeper.take_due_messages(10_000)
    assert {each.outbox_id for each in messages} == newest_ids


async def test_jobs_that_younger_ones_have_overtaken_are_offered_again(record: Record) -> None:
    old, young, other = await record.accepted(new_job(), new_job(), new_job(priority="low"))
    for job_id in (old, other):
        await record.change(job_id, "queued_at = now() - interval '2 minutes'")
    await record.empty_outbox()
    newest = {
        ("default", "normal"): datetime.now(UTC),
        ("default", "low"): datetime.now(UTC) - timedelta(minutes=5),
    }
    assert await record.keeper.redispatch_overtaken(newest, 60) == 1
    assert ids_in(await record.outbox()) == [old]
    assert await record.keeper.redispatch_overtaken(newest, 60) == 0
    assert (await record.row(young))["version"] == 1


async def test_jobs_of_a_queue_that_is_empty_are_offered_again_after_some_patience(record: Record) -> None:
    lost, fresh, other = await record.accepted(new_job(), new_job(), new_job(lane="heavy"))
    running = await record.claimed()
    for job_id in (lost, other, running.id):
        await record.change(job_id, "queued_at = now() - interval '20 seconds'")
    await record.empty_outbox()
    assert await record.keeper.redispatch_stranded([("default", "normal"), ("default", "high")], 10) == 1
    assert ids_in(await record.outbox()) == [lost]
    assert await record.keeper.redispatch_stranded([("default", "normal")], 10) == 0
    assert await record.state(fresh) == "queued"


async def test_dead_letters_are_offered_again_where_their_jobs_are_still_queued(record: Record) -> None:
    first, second, heavy = await record.accepted(new_job(), new_job(), new_job(lane="heavy"))
    running = await record.claimed()
    await record.empty_outbox()
    assert await record.keeper.redispatch_ids([first, second, heavy, running.id, str(uuid4())]) == 3
    rows = {row.lane: row for row in await record.outbox()}
    assert sorted(rows["default"].ids) == sorted([first, second])
    assert rows["heavy"].ids == [heavy]
    assert all(row.seconds <= 0 for row in rows.values())


async def test_eight_keepers_do_everything_once(record: Record) -> None:
    ids = await record.accepted(*new_jobs(200, delay_s=60))
    await record.sql.execute("update jobs set run_at = now()")
    queued: list[str] = []
    while len(queued) < len(ids):
        for found in await asyncio.gather(*(record.keeper.queue_due(20) for _ in range(8))):
            queued += found
    assert sorted(queued) == sorted(ids)
    assert sorted(ids_in(await record.outbox())) == sorted(ids)


async def test_a_row_that_somebody_holds_does_not_hold_up_the_others(record: Record) -> None:
    held, free = await record.accepted(*new_jobs(2, delay_s=60))
    await record.sql.execute("update jobs set run_at = now()")
    async with record.locked("select from jobs where id = $1 for update", held):
        assert set(await record.keeper.queue_due(10)) == {free}
    assert set(await record.keeper.queue_due(10)) == {held}
