"""The suite of sluice.core.ports.EndingStore: whatever ends a job, its ending is kept for whoever hears of it, until he was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from sluice.adapters.postgres.ending_store import PostgresEndingStore
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.core.access import NOTHING
from sluice.core.ending import WEBHOOKS
from sluice.core.lifecycle import LOST_LIMIT, Failure, failed, postponed, succeeded
from sluice.core.ports import EndingStore
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_jobs

FAILURE = Failure("handler-error", "LookupError", "no such thing")


@pytest.fixture
async def endings(record: Record) -> EndingStore:
    """A store whose listener `events` hears of every ending."""
    store = PostgresEndingStore(record.database)
    await store.listen("events")
    return store


async def add_endpoint(record: Record, tenant: str = "acme", **columns: object) -> UUID:
    """A webhook of this tenant for all that ends."""
    given = {"events": ["job.succeeded", "job.failed", "job.cancelled"]} | columns
    names = "".join(f", {name}" for name in given)
    places = "".join(f", ${number}" for number in range(2, len(given) + 2))
    made: UUID = await record.sql.fetchval(
        f"insert into webhook_endpoints (id, url, tenant{names}) values (gen_random_uuid(), 'https://x/', $1{places}) returning id",  # noqa: S608  of the test
        tenant, *given.values(),
    )  # fmt: skip
    return made


async def end_by_settling(record: Record) -> str:
    job = await record.claimed()
    await record.store.settle([succeeded(job, b"1")])
    return job.id


async def end_by_failing(record: Record) -> str:
    job = await record.claimed()
    await record.store.settle([failed(job, FAILURE)])
    return job.id


async def end_by_obeying_a_cancel(record: Record) -> str:
    job = await record.claimed()
    await record.ask_to_cancel(job.id)
    await record.store.settle([succeeded(job, b"1")])
    return job.id


async def end_by_cancelling(record: Record) -> str:
    (job_id,) = await record.accepted()
    await record.control.cancel("acme", job_id)
    return job_id


async def end_by_cancelling_many(record: Record) -> str:
    (job_id,) = await record.accepted()
    await PostgresListingStore(record.database, record.settings).cancel_jobs("acme", [job_id], NOTHING)
    return job_id


async def end_by_the_deadline(record: Record) -> str:
    (job_id,) = await record.accepted(deadline_s=60)
    await record.change(job_id, "deadline = now()")
    await record.keeper.fail_overdue(10)
    return job_id


async def end_by_the_deadline_at_a_claim(record: Record) -> str:
    (job_id,) = await record.accepted(deadline_s=60)
    await record.change(job_id, "deadline = now()")
    await record.store.defer_unclaimed([job_id], KINDS)
    return job_id


async def end_by_losing_consumers(record: Record) -> str:
    job = await record.claimed()
    await record.change(job.id, f"crash_count = {LOST_LIMIT}")
    await record.expire(job.id)
    await record.rescue()
    return job.id


WAYS: list[tuple[Callable[[Record], Awaitable[str]], str]] = [
    (end_by_settling, "succeeded"),
    (end_by_failing, "failed"),
    (end_by_obeying_a_cancel, "cancelled"),
    (end_by_cancelling, "cancelled"),
    (end_by_cancelling_many, "cancelled"),
    (end_by_the_deadline, "failed"),
    (end_by_the_deadline_at_a_claim, "failed"),
    (end_by_losing_consumers, "failed"),
]


@pytest.mark.parametrize(("end", "state"), WAYS)
async def test_whatever_ends_a_job_its_ending_is_kept_once(
    record: Record, endings: EndingStore, end: Callable[[Record], Awaitable[str]], state: str
) -> None:
    job_id = await end(record)
    (kept,) = await endings.next_endings("events", 10)
    assert (kept.job.id, kept.job.state) == (job_id, state)
    assert kept.job == (await record.job(job_id))._replace(input=None, result=None)


async def test_what_does_not_end_a_job_keeps_nothing(record: Record, endings: EndingStore) -> None:
    held, waiting = await record.claimed(), await record.claimed()
    await record.give_back(held)
    await record.store.settle([postponed(waiting, 30)])
    await record.ask_to_cancel((await record.claimed()).id)
    assert await endings.next_endings("events", 10) == []


async def test_nothing_is_kept_for_nobody(record: Record) -> None:
    store = PostgresEndingStore(record.database)
    await end_by_settling(record)
    await add_endpoint(record, "other")
    await add_endpoint(record, "acme")
    await record.sql.execute("update webhook_endpoints set disabled_at = now() where tenant = 'acme'")
    await end_by_settling(record)
    assert await record.sql.fetchval("select count(*) from endings") == 0
    await store.listen("events")
    await end_by_settling(record)
    await store.stop_listening("events")
    await end_by_settling(record)
    assert await record.sql.fetchval("select count(*) from endings") == 0


async def test_endings_come_in_order_and_stay_until_they_are_dropped_though_the_job_goes(
    record: Record, endings: EndingStore
) -> None:
    ended = [await end_by_settling(record) for _ in range(3)]
    await record.sql.execute("delete from jobs")
    found = await endings.next_endings("events", 2)
    assert [each.job.id for each in found] == ended[:2]
    assert await endings.next_endings("events", 2) == found
    await endings.drop_endings("events", [each.number for each in found])
    assert [each.job.id for each in await endings.next_endings("events", 2)] == ended[2:]
    await endings.drop_endings("another", [found[0].number])


async def test_each_listener_is_told_for_itself(record: Record, endings: EndingStore) -> None:
    await add_endpoint(record)
    await end_by_settling(record)
    (event,) = await endings.next_endings("events", 9)
    await endings.drop_endings("events", [event.number])
    (for_webhooks,) = await endings.next_endings(WEBHOOKS, 9)
    assert for_webhooks.job == event.job


async def test_a_delivery_is_made_for_each_endpoint_that_asks_for_it(
    record: Record, endings: EndingStore
) -> None:
    asks = [
        await add_endpoint(record),
        await add_endpoint(record, kinds=["demo.sum"], tags=["nightly", "other"]),
    ]
    await add_endpoint(record, events=["job.failed"])
    await add_endpoint(record, kinds=["demo.sleep"])
    await add_endpoint(record, tags=["weekly"])
    await add_endpoint(record, "other")
    job = await record.claimed(tags="big\x1fnightly")
    await record.store.settle([succeeded(job, b"1")])
    found = await endings.next_endings(WEBHOOKS, 9)
    assert await endings.tell_webhooks({each.number: b"{}" for each in found}) == 2
    rows = await record.sql.fetch("select endpoint, job_id::text, event, body from webhook_deliveries")
    assert {tuple(row) for row in rows} == {(each, job.id, "job.succeeded", b"{}") for each in asks}
    assert await endings.next_endings(WEBHOOKS, 9) == []


async def test_the_endpoint_that_a_submit_named_is_told_once_whatever_it_asks_for(
    record: Record, endings: EndingStore
) -> None:
    named = await add_endpoint(record, events=["job.failed"], kinds=["demo.sleep"])
    both = await add_endpoint(record)
    await add_endpoint(record, events=["job.cancelled"])
    stranger = await add_endpoint(record, "other", events=["job.failed"])
    off = await add_endpoint(record)
    await record.sql.execute("update webhook_endpoints set disabled_at = now() where id = $1", off)
    jobs = [await record.claimed(webhook=str(each)) for each in (named, both, stranger, off)]
    await record.store.settle([succeeded(job, b"1") for job in jobs])
    found = await endings.next_endings(WEBHOOKS, 9)
    assert [each.webhook for each in found] == [named.bytes, both.bytes, stranger.bytes, off.bytes]
    assert await endings.tell_webhooks({each.number: b"{}" for each in found}) == 5
    rows = await record.sql.fetch("select endpoint, job_id::text from webhook_deliveries")
    told = sorted(tuple(row) for row in rows)
    assert told == sorted([(named, jobs[0].id)] + [(both, job.id) for job in jobs])


async def test_a_retry_is_told_to_the_endpoint_of_the_first(record: Record, endings: EndingStore) -> None:
    named = await add_endpoint(record)
    job = await record.claimed(webhook=str(named))
    await record.store.settle([failed(job, FAILURE)])
    again = new_jobs(1)[0].id
    assert await record.control.retry("acme", job.id, again)
    assert await record.sql.fetchval("select webhook from jobs where id = $1", again) == named.bytes


async def test_two_keepers_that_tell_the_same_make_each_delivery_once(
    record: Record, endings: EndingStore
) -> None:
    await add_endpoint(record)
    jobs = [await record.claim(each) for each in await record.accepted(*new_jobs(20))]
    await record.store.settle([succeeded(job, b"1") for job in jobs])
    found = await endings.next_endings(WEBHOOKS, 99)
    bodies = {each.number: b"{}" for each in found}
    async with record.locked("select from endings for update"):
        telling = [asyncio.create_task(endings.tell_webhooks(bodies)) for _ in range(4)]
        await record.until_waiting(4)
    assert sorted(await asyncio.gather(*telling)) == [0, 0, 0, 20]
    assert await record.sql.fetchval("select count(*) from webhook_deliveries") == 20
