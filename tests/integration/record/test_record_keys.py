"""Idempotency keys in the record: one job a key, whatever happens at the same time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
import uuid_utils

from sluice.core.job import IdempotencyKeyUse, NewJob
from sluice.core.lifecycle import succeeded
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import ids_of, new_job

PRINT = b"p" * 32
INSERT = """with key as (insert into idempotency_keys (tenant, key, request_hash, job_id) values ('acme', 'k', 'h', $1))
            insert into jobs (id, tenant, kind, lane, priority, state, max_attempts, keep_s, input, queued_at)
            values ($1, 'acme', 'demo.sum', 'default', 'normal', 'queued', 1, 60, '', now())"""


def keyed(key: str = "k", **changes: Any) -> NewJob:
    return new_job(key=key, request_hash=b"h", **changes)


def pure(key: str = "k", fingerprint: bytes = PRINT, **changes: Any) -> NewJob:
    return keyed(key, fingerprint=fingerprint, flight=True, fresh_s=60.0, **changes)


async def use(record: Record, key: str = "k") -> IdempotencyKeyUse | None:
    """What the key stands for."""
    return (await record.store.find_idempotency_keys([("acme", key)])).get(("acme", key))


async def jobs(record: Record) -> int:
    count = await record.sql.fetchval("select count(*) from jobs")
    assert isinstance(count, int)
    return count


async def test_a_key_comes_into_the_record_with_its_job(record: Record) -> None:
    (job_id,) = await record.accepted(keyed())
    assert await use(record) == IdempotencyKeyUse(b"h", job_id)
    assert await use(record, "unknown") is None


async def test_a_job_whose_key_is_taken_is_skipped(record: Record) -> None:
    (first,) = await record.accepted(keyed())
    other = new_job()
    accepted = await record.store.accept([keyed(), other])
    assert accepted.ids == {other.id}
    assert await use(record) == IdempotencyKeyUse(b"h", first)
    assert [each.ids for each in accepted.messages] == [(other.id,)]


async def test_of_those_who_share_a_key_in_one_batch_one_is_taken(record: Record) -> None:
    batch = [keyed() for _ in range(5)]
    (winner,) = (await record.store.accept(batch)).ids
    assert await use(record) == IdempotencyKeyUse(b"h", winner)
    assert await jobs(record) == 1


async def test_a_key_belongs_to_its_tenant(record: Record) -> None:
    mine, theirs = keyed(), keyed(tenant="other")
    await record.accepted(mine, theirs)
    uses = await record.store.find_idempotency_keys([("acme", "k"), ("other", "k"), ("nobody", "k")])
    assert {tenant: each.job_id for (tenant, _), each in uses.items()} == {
        "acme": mine.id,
        "other": theirs.id,
    }


async def test_a_key_outlives_a_scheduled_job_too(record: Record) -> None:
    (later,) = await record.accepted(keyed(delay_s=60))
    assert await use(record) == IdempotencyKeyUse(b"h", later)


async def test_a_job_takes_over_a_key_that_stands_for_its_id(record: Record) -> None:
    lost = str(uuid_utils.uuid7())
    assert await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", lost))
    assert (await record.store.accept([keyed()])).ids == frozenset()
    batch = [keyed(id=lost), keyed(id=lost)]
    assert (await record.store.accept(batch)).ids == {lost}
    assert await jobs(record) == 1


async def test_a_key_is_kept_for_a_job_that_was_there_before_it(record: Record) -> None:
    (job_id,) = await record.accepted()
    assert await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", job_id))
    assert await use(record) == IdempotencyKeyUse(b"h", job_id)


@pytest.mark.parametrize("request_hash", [b"h", b"other"])
async def test_a_key_that_stands_for_a_job_that_is_there_stays_as_it_is(
    record: Record, request_hash: bytes
) -> None:
    (first,) = await record.accepted(keyed())
    (other,) = await record.accepted()
    assert not await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(request_hash, other))
    assert await use(record) == IdempotencyKeyUse(b"h", first)


async def test_a_key_whose_job_never_came_is_moved_once_and_only_for_the_same_request(record: Record) -> None:
    lost = str(uuid_utils.uuid7())
    await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", lost))
    first, second = ids_of([new_job(id=each) for each in await record.accepted(new_job(), new_job())])
    assert not await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"other", first))
    moved = await asyncio.gather(
        *(
            record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", each))
            for each in (first, second) * 4
        )
    )
    assert moved.count(True) == 1
    found = await use(record)
    assert found
    assert found.job_id in (first, second)


async def test_a_key_whose_job_comes_at_the_same_time_is_left_to_it(record: Record) -> None:
    (mine,) = await record.accepted()
    winner = uuid_utils.uuid7()
    async with record.locked(INSERT, UUID(str(winner))) as rival:
        keeping = asyncio.create_task(
            record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", mine))
        )
        await record.until_waiting()
        await rival.execute("commit")
        assert not await keeping
    assert await use(record) == IdempotencyKeyUse(b"h", str(winner))


async def test_a_key_is_not_moved_away_from_its_job_that_comes_at_the_same_time(record: Record) -> None:
    lost = str(uuid_utils.uuid7())
    await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", lost))
    (mine,) = await record.accepted()
    async with record.locked(INSERT.replace("'k'", "'other'"), UUID(lost)) as rival:
        accepting = asyncio.create_task(record.store.accept([keyed(id=lost)]))
        await record.until_waiting()
        moving = asyncio.create_task(record.store.ask("repoint_idempotency_key", "acme", "k", b"h", mine))
        await record.until_waiting(2)
        await rival.execute("rollback")
        assert (await accepting).ids == {lost}
        assert await moving == []
    assert await use(record) == IdempotencyKeyUse(b"h", lost)


async def test_a_job_does_not_come_once_its_key_is_moved_at_the_same_time(record: Record) -> None:
    lost = str(uuid_utils.uuid7())
    await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", lost))
    (mine,) = await record.accepted()
    moved = "update idempotency_keys set job_id = $1 where key = 'k'"
    async with record.locked(moved, UUID(mine)) as rival:
        accepting = asyncio.create_task(record.store.accept([keyed(id=lost)]))
        await record.until_waiting()
        await rival.execute("commit")
        assert (await accepting).ids == frozenset()
    assert (await use(record), await jobs(record)) == (IdempotencyKeyUse(b"h", mine), 1)


async def test_work_that_was_just_done_is_not_accepted_again_while_it_is_fresh(record: Record) -> None:
    done = await record.claimed(pure("first"))
    await record.store.settle([succeeded(done, b"{}")])
    assert (await record.store.accept([pure("second")])).ids == frozenset()
    stale = pure("third")._replace(fresh_s=0.0)
    anew = new_job(fingerprint=PRINT)  # asked to run again
    assert (await record.store.accept([stale, anew])).ids == {stale.id, anew.id}


async def test_batches_that_share_keys_and_work_in_opposite_orders_end_with_one_job_each(
    record: Record,
) -> None:
    prints = [number.to_bytes(2, "big") * 16 for number in range(300)]

    async def batch(number: int) -> list[NewJob]:
        new = [pure(f"{number} {own.hex()}", own) for own in prints[:50]]  # the same work under other keys
        new += [pure(f"both {own.hex()}", own) for own in prints[50:100]]
        new += [keyed(f"key {own.hex()}") for own in prints[100:]]
        taken = (await record.store.accept(new[:: 1 if number % 2 else -1])).ids
        return [job for job in new if job.id in taken]

    for _ in range(10):
        won = [job for jobs in await asyncio.gather(*map(batch, range(8))) for job in jobs]
        assert len({job.fingerprint for job in won if job.fingerprint}) == 100
        assert len({job.key for job in won}) == len(won) == await jobs(record) == 300
        await record.sql.execute("delete from jobs; delete from idempotency_keys; delete from outbox")
