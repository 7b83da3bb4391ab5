"""The keeper's statements: what fell silent, what is due, and what RabbitMQ has lost comes back, each by one keeper at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from sluice.core.lifecycle import Failure, retried
from tests.integration.record.record_fixture import KINDS, Record, ids_in
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job, new_jobs

DUE_NOW = "update outbox set due = now()"


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


@pytest.mark.parametrize(("waits_s", "off_s"), [(59, 30), (600, 300), (86_400, 1_800)])
async def test_messages_are_put_off_by_half_of_what_their_jobs_wait_already(
    record: Record, waits_s: float, off_s: float
) -> None:
    """Those of a lane that is no more are due again and again, and the keeper has other duties."""
    (job_id,) = await record.accepted()
    await record.change(job_id, f"queued_at = now() - {waits_s} * interval '1 second'")
    await record.sql.execute(DUE_NOW)
    await record.keeper.take_due_messages(100)
    (row,) = await record.outbox()
    assert off_s - 2 < row.seconds < off_s + 30


async def test_messages_that_name_no_queued_job_are_dropped(record: Record) -> None:
    await record.accepted(*new_jobs(6, ids_per_message=2))
    first, second, third = await record.outbox()
    await record.store.claim([*first.ids, *second.ids, third.ids[0]], KINDS)
    await record.sql.execute(DUE_NOW)
    messages, dropped = await record.keeper.take_due_messages(100)
    assert ids_in(messages) == third.ids
    assert dropped == 4, "by their ids"
    assert [row.id for row in await record.outbox()] == [third.id]


async def test_no_more_ids_are_taken_than_the_limit_but_a_larger_message_goes_alone(record: Record) -> None:
    await record.accepted(*new_jobs(9, ids_per_message=3))
    await record.sql.execute(DUE_NOW)
    assert [len(ids_in((await record.keeper.take_due_messages(6))[0])) for _ in range(3)] == [6, 3, 0]
    await record.sql.execute(DUE_NOW)
    assert [len(ids_in((await record.keeper.take_due_messages(1))[0])) for _ in range(4)] == [3, 3, 3, 0]


async def test_no_more_ids_are_looked_at_than_the_limit_when_all_are_void(record: Record) -> None:
    ids = await record.accepted(*new_jobs(9, ids_per_message=3))
    await record.store.claim(ids, KINDS)
    await record.sql.execute(DUE_NOW)
    assert [await record.keeper.take_due_messages(6) for _ in range(3)] == [([], 6), ([], 3), ([], 0)]


async def test_messages_that_were_due_for_longest_go_first(record: Record) -> None:
    await record.accepted(*new_jobs(600, ids_per_message=1))
    await record.sql.execute("update outbox set due = now() - id * interval '1 second'")
    newest_ids = {row.id for row in (await record.outbox())[-500:]}
    messages, _ = await record.keeper.take_due_messages(10_000)
    assert {each.outbox_id for each in messages} == newest_ids


async def offered(record: Record, ago_s: float, *ids: str) -> None:
    """Let these jobs have been queued, and offered, so many seconds ago."""
    for job_id in ids:
        at = f"now() - {ago_s} * interval '1 second'"
        await record.change(job_id, f"queued_at = {at}, offered_until = {at} + interval '60 seconds'")


async def test_jobs_that_younger_ones_have_overtaken_are_offered_again(record: Record) -> None:
    old, young, other = await record.accepted(new_job(), new_job(), new_job(priority="low"))
    await offered(record, 120, old, other)
    await record.empty_outbox()
    before = (await record.row(old))["queued_at"]
    newest: dict[tuple[str, str], datetime | None] = {
        ("default", "normal"): datetime.now(UTC),
        ("default", "low"): datetime.now(UTC) - timedelta(minutes=5),
    }
    assert await record.keeper.offer_lost(newest, 10) == 1
    assert ids_in(await record.outbox()) == [old]
    assert await record.keeper.offer_lost(newest, 10) == 0
    assert ((await record.row(old))["queued_at"], (await record.row(young))["version"]) == (before, 1)


async def test_jobs_of_a_queue_that_is_empty_are_offered_again_after_some_patience(record: Record) -> None:
    lost, fresh, other = await record.accepted(new_job(), new_job(), new_job(lane="heavy"))
    running = await record.claimed()
    await offered(record, 20, lost, other, running.id)
    await record.empty_outbox()
    empty = dict.fromkeys([("default", "normal"), ("default", "high")])
    assert await record.keeper.offer_lost(empty, 10) == 1
    assert ids_in(await record.outbox()) == [lost]
    assert await record.keeper.offer_lost(empty, 10) == 0
    assert await record.state(fresh) == "queued"


async def test_every_further_offer_holds_twice_as_long_up_to_an_hour(record: Record) -> None:
    (job_id,) = await record.accepted()
    holds: list[int] = []
    for _ in range(8):
        await record.change(job_id, "offered_until = now()")
        assert await record.keeper.offer_lost({("default", "normal"): None}, 10) == 1
        left = "select extract(epoch from offered_until - now())::float8 from jobs"
        holds.append(round((await record.sql.fetchval(left)) / 60))
    assert holds == [2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_job_that_is_queued_anew_is_offered_as_a_new_one(record: Record) -> None:
    job = await record.claimed()
    await record.change(job.id, "offers = 7, offered_until = now() + interval '1 hour'")
    await record.give_back(job)
    row = await record.row(job.id)
    assert (row["offers"], row["offered_until"] - row["queued_at"]) == (1, timedelta(seconds=60))


async def test_dead_letters_are_offered_again_where_their_jobs_are_still_queued(record: Record) -> None:
    first, second, heavy = await record.accepted(new_job(), new_job(), new_job(lane="heavy"))
    running = await record.claimed()
    await record.empty_outbox()
    assert await record.keeper.offer_ids([first, second, heavy, running.id, str(uuid4())]) == 3
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


async def test_a_job_is_offered_however_often_it_has_been(record: Record) -> None:
    """One whose consumers are all full goes from one that cannot run it to the next, once a minute, for days."""
    (foreign,) = await record.accepted(kind="their.kind")
    await new_owner(record.sql, kinds=["their.kind"])
    await record.change(foreign, "offers = 2000, offered_until = now()")
    assert await record.keeper.offer_lost({("default", "normal"): None}, 10) == 1
    await record.empty_outbox()
    assert await record.store.defer_unclaimed([foreign], KINDS) == []
    assert ids_in(await record.outbox()) == [foreign]
    assert (await record.row(foreign))["offers"] == 2002
