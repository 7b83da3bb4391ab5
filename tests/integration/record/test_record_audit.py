"""What administrators do is written down by the statement that does it, and nothing that was not done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.access import Actor, Note
from sluice.core.lifecycle import Failure, failed
from sluice.core.listing import ErrorMark
from sluice.core.schedule import DueSchedule
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import new_job, new_schedule

BY = Actor("mnopqrstuvwx", "a-request")
NOTE = Note(BY.key_id, '{"filter":{"kind":"demo.sum"},"request_id":"a-request"}')
REQUEST = {"request_id": "a-request"}


@pytest.fixture
def schedules(record: Record) -> PostgresScheduleStore:
    return PostgresScheduleStore(record.database, 5)


@pytest.fixture
def listing(record: Record) -> PostgresListingStore:
    return PostgresListingStore(record.database, record.settings)


async def audit(record: Record) -> list[tuple[Any, ...]]:
    """Who did what, oldest first, read as the api reads it."""
    entries = await PostgresAccessStore(record.database, 5).list_audit("acme", 2**63 - 1, 100)
    return [(each.key_id, each.action, each.object, orjson.loads(each.detail)) for each in reversed(entries)]


async def test_the_life_of_a_schedule_is_written_down(
    record: Record, schedules: PostgresScheduleStore
) -> None:
    made = await schedules.keep_schedule(new_schedule(), False, BY)
    assert made
    assert await schedules.keep_schedule(new_schedule(), False, BY) is None
    replaced = await schedules.keep_schedule(new_schedule(cron="1 2 3 4 *"), True, BY)
    assert replaced
    await schedules.pause_schedule("acme", "nightly", BY)
    await schedules.resume_schedule(replaced.id, replaced.next_at, BY)
    job = new_job().id
    assert await schedules.run_schedule(replaced.id, job, by=BY)
    assert not await schedules.delete_schedule("other", "nightly", BY)
    assert await schedules.delete_schedule("acme", "nightly", BY)
    assert not await schedules.delete_schedule("acme", "nightly", BY)
    about = REQUEST | {"kind": made.kind, "timezone": made.timezone}
    wanted = [
        ("schedule.create", about | {"cron": made.cron}),
        ("schedule.replace", about | {"cron": "1 2 3 4 *"}),
        ("schedule.pause", REQUEST),
        ("schedule.resume", REQUEST),
        ("schedule.run", REQUEST | {"job_id": job}),
        ("schedule.delete", REQUEST),
    ]
    found = await audit(record)
    assert found == [(BY.key_id, action, "schedule/nightly", detail) for action, detail in wanted]


async def test_what_a_keeper_fires_is_not_written_down(
    record: Record, schedules: PostgresScheduleStore
) -> None:
    made = await schedules.keep_schedule(new_schedule(), False, BY)
    assert made
    await record.sql.execute("update schedules set next_at = now() - interval '1 second'")
    (due,) = await schedules.due_schedules(1)
    assert isinstance(due, DueSchedule)
    assert await schedules.fire_schedule(due, due.due + timedelta(days=1), [])
    assert [row[1] for row in await audit(record)] == ["schedule.create"]


async def test_a_change_of_many_jobs_is_written_down_with_how_many(
    record: Record, listing: PostgresListingStore
) -> None:
    waiting = await record.accepted(new_job(), new_job())
    assert len(await listing.cancel_jobs("acme", waiting, NOTE)) == 2
    assert await listing.cancel_jobs("acme", waiting, NOTE) == []
    assert await listing.cancel_jobs("other", waiting, NOTE) == []
    job = await record.claimed()
    await record.store.settle([failed(job, Failure("gave-up", "It gave up", "", retryable=False))])
    assert len(await listing.retry_jobs("acme", {job.id: new_job().id}, NOTE)) == 1
    assert await listing.retry_jobs("acme", {job.id: new_job().id}, NOTE) == []
    about = orjson.loads(NOTE.about)
    assert await audit(record) == [
        (BY.key_id, "jobs.cancel", "jobs", about | {"changed": 2}),
        (BY.key_id, "jobs.retry", "jobs", about | {"changed": 1}),
    ]


async def test_marks_of_errors_are_written_down(record: Record, listing: PostgresListingStore) -> None:
    for mark in (ErrorMark.RESOLVED, ErrorMark.IGNORED, None, None):
        await listing.mark_error("acme", "27f308596b3444eb", mark, BY)
    assert await audit(record) == [
        (BY.key_id, f"error.{verb}", "error/27f308596b3444eb", REQUEST)
        for verb in ("resolve", "ignore", "reopen")
    ]


async def test_a_job_that_an_administrator_deletes_is_written_down(record: Record) -> None:
    first, second = await record.finished(60), await record.finished(60)
    assert await record.control.delete_job("acme", first)
    assert not await record.control.delete_job("other", second, BY)
    assert await record.control.delete_job("acme", second, BY)
    assert not await record.control.delete_job("acme", second, BY)
    assert await audit(record) == [(BY.key_id, "job.delete", f"job/{UUID(second)}", REQUEST)]


async def test_what_was_written_down_is_shown_to_its_tenant_page_by_page(record: Record) -> None:
    access = PostgresAccessStore(record.database, 5)
    insert = (
        "insert into audit (tenant, action, object) select $1, 'x', n::text from generate_series(1, 5) as n"
    )
    for tenant in ("aaa", "acme", "other", None):
        await record.sql.execute(insert, tenant)
    first = await access.list_audit("acme", 2**63 - 1, 2)
    rest = await access.list_audit("acme", first[-1].id, 9)
    assert [each.object for each in [*first, *rest]] == ["5", "4", "3", "2", "1"]


async def test_what_was_written_down_long_ago_is_pruned_and_no_more_is_read(record: Record) -> None:
    insert = "insert into audit (tenant, at, action, object) select 'acme', now() - $1::interval, 'x', $2 from generate_series(1, 3)"
    for ago, name in ((timedelta(days=2), "old"), (timedelta(hours=1), "new")):
        await record.sql.execute(insert, ago, name)
    assert [await record.keeper.prune_audit(86_400, 2) for _ in range(3)] == [2, 1, 0]
    assert [row[2] for row in await audit(record)] == ["new"] * 3
