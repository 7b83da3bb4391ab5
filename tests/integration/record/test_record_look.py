"""A keeper's look at the record: it finds what is to be done, lets keepers take turns, and writes nothing when there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from tests.integration.record.record_fixture import Record
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job, new_schedule

EVERY = dict.fromkeys(("publish", "queue-due", "fail-overdue", "fire-schedules", "rescue", "find-lost", "prune-jobs", "prune-batches", "prune-keys", "prune-audit", "bulk", "prune-bulk"), 60.0)  # fmt: skip
KEEP_S = 3_600.0
ACT = """insert into bulk_acts (id, tenant, act, filter, canary, rate, most_failed, keep_s, state, next_at, expires_at)
values (gen_random_uuid(), 'acme', 'cancel', '{{}}', 0, 1, 0, 60, {})"""


async def publish(record: Record) -> None:
    await record.accepted()
    await record.sql.execute("update outbox set due = now() - interval '6 seconds'")


async def publish_fresh(record: Record) -> None:
    """As jobs are that become due all the time: that must not keep anybody from looking for what is lost."""
    await record.accepted()
    await record.sql.execute("update outbox set due = now()")


async def queue_due(record: Record) -> None:
    (job_id,) = await record.accepted(delay_s=60)
    await record.change(job_id, "run_at = now()")


async def fail_overdue(record: Record) -> None:
    (job_id,) = await record.accepted(delay_s=60, deadline_s=60)
    await record.change(job_id, "deadline = now()")


async def fire_schedules(record: Record) -> None:
    await PostgresScheduleStore(record.database, 5).keep_schedule(new_schedule(), replace=False)
    await record.sql.execute("update schedules set next_at = now(); delete from audit")


async def rescue(record: Record) -> None:
    await new_owner(record.sql, -1)


async def find_lost(record: Record) -> None:
    await record.accepted()
    await record.empty_outbox()


async def prune_jobs(record: Record) -> None:
    await record.finished(7_200)


async def prune_keys(record: Record) -> None:
    job = await record.claimed(key="k", request_hash=b"h")
    await record.finish(job.id, 7_200)
    await record.keeper.prune_jobs(10)
    await record.sql.execute("update idempotency_keys set created_at = now() - interval '2 hours'")
    await record.empty_outbox()


async def prune_batches(record: Record) -> None:
    await record.sql.execute(
        "insert into batches (id, tenant, expires_at) values (gen_random_uuid(), 'acme', now())"
    )


async def prune_audit(record: Record) -> None:
    await record.sql.execute("insert into audit (tenant, action, object) values ('acme', 'x', 'x')")


async def bulk(record: Record) -> None:
    await record.sql.execute(ACT.format("'running', now(), 'infinity'"))


async def prune_bulk(record: Record) -> None:
    await record.sql.execute(ACT.format("'waiting', null, now()"))


CASES: list[tuple[Callable[[Record], Awaitable[None]], set[str]]] = [
    (publish, {"publish"}),
    (publish_fresh, {"publish", "find-lost"}),
    (queue_due, {"queue-due"}),
    (fail_overdue, {"fail-overdue"}),
    (fire_schedules, {"fire-schedules"}),
    (rescue, {"rescue"}),
    (find_lost, {"find-lost"}),
    (prune_jobs, {"prune-jobs"}),
    (prune_keys, {"prune-keys"}),
    (prune_batches, {"prune-batches"}),
    (bulk, {"bulk"}),
    (prune_bulk, {"prune-bulk"}),
    (prune_audit, {"prune-audit"}),
]


@pytest.mark.parametrize(("make", "expected"), CASES, ids=lambda case: getattr(case, "__name__", ""))
async def test_what_is_to_be_done_is_found_and_is_one_keepers_turn(
    record: Record, make: Callable[[Record], Awaitable[None]], expected: set[str]
) -> None:
    await make(record)
    looks = await asyncio.gather(*(record.keeper.look(EVERY, KEEP_S) for _ in range(4)))
    taken = [name for look in looks for name in look.duties]
    assert sorted(taken) == sorted(expected), "each by one of four keepers that look at once"
    await record.sql.execute("update duties set done_at = done_at - interval '59 seconds'")
    assert (await record.keeper.look(EVERY, KEEP_S)).duties == []
    await record.sql.execute("update duties set done_at = done_at - interval '1 second'")
    assert set((await record.keeper.look(EVERY, KEEP_S)).duties) == expected


async def test_while_there_is_nothing_to_do_nothing_is_written(record: Record) -> None:
    job = await record.claimed(keep_s=7_200)
    await record.finish(job.id, 60)
    await record.accepted(new_job(delay_s=60, deadline_s=90))
    await record.empty_outbox()
    before = await record.sql.fetch("select xmin::text, name, done_at from duties order by name")
    look = await record.keeper.look(EVERY, KEEP_S)
    assert (look.duties, look.consumers > 0) == ([], True)
    assert await record.sql.fetch("select xmin::text, name, done_at from duties order by name") == before


async def test_only_duties_that_are_asked_for_are_taken(record: Record) -> None:
    await publish(record)
    assert (await record.keeper.look({"rescue": 1.0}, KEEP_S)).duties == []
    assert (await record.keeper.look({"publish": 1.0}, KEEP_S)).duties == ["publish"]


async def test_duties_are_done_after_the_clock_of_the_database_went_back(record: Record) -> None:
    await publish(record)
    await record.sql.execute("update duties set done_at = now() + interval '1 hour'")
    assert (await record.keeper.look({"publish": 1.0}, KEEP_S)).duties == ["publish"]
    assert (await record.keeper.look({"publish": 1.0}, KEEP_S)).duties == []


async def test_lanes_are_counted_less_often_while_nothing_waits(record: Record) -> None:
    rates = {"count": 1.0}
    assert (await record.keeper.look(rates, KEEP_S)).duties == ["count"]
    await record.sql.execute("update duties set done_at = done_at - interval '2 seconds'")
    assert (await record.keeper.look(rates, KEEP_S)).duties == []
    await record.accepted()
    assert (await record.keeper.look(rates, KEEP_S)).duties == ["count"]


async def test_only_living_consumers_are_counted(record: Record) -> None:
    before = (await record.keeper.look({}, KEEP_S)).consumers
    await new_owner(record.sql)
    await new_owner(record.sql, -1)
    assert (await record.keeper.look({}, KEEP_S)).consumers == before + 1
