"""The statements that prune: what was kept for long enough goes, and nothing else."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from sluice.core.job import IdempotencyKeyUse
from sluice.core.job_log import LogBlock
from sluice.core.lifecycle import LOST_LIMIT, Failure, failed, retried, succeeded
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import aged_id, ids_of, new_job

NOBODY = "00000000-0000-0000-0000-000000000000"


async def pruned(record: Record) -> set[str]:
    """What one tick deletes that may delete everything."""
    return set(await record.keeper.prune_jobs(1_000))


async def test_finished_jobs_go_after_their_time_with_their_attempts(record: Record) -> None:
    old, young = await record.finished(3_601), await record.finished(3_500)
    retry = await record.claimed(id=aged_id(9_000))
    log = LogBlock(1, 1, b"{}")
    await record.store.settle([retried(retry, Failure("x", "y"), 0)._replace(log=log)])
    await record.change(retry.id, "state = 'queued', queued_at = now()")
    await record.claim(retry.id)
    await record.finish(retry.id, 3_601)
    assert len(await record.attempts(retry.id)) == 1
    assert await record.control.read_logs(retry.id, 0, 9) == [log]
    assert await pruned(record) == {old, retry.id}
    assert await record.left() == {young}
    assert await record.attempts(retry.id) == []
    assert await record.control.read_logs(retry.id, 0, 9) == []
    assert await pruned(record) == set()


async def test_what_a_tick_deletes_is_bounded_by_what_its_attempts_hold(record: Record) -> None:
    for age in (3_603, 3_602, 3_601):
        attempt = "insert into attempts (job_id, fence, attempt, outcome, traceback) values ($1, 9, 1, 'x', repeat('x', $2))"
        await record.sql.execute(attempt, UUID(await record.finished(age)), 140 << 20)
    assert [len(await pruned(record)) for _ in range(4)] == [1, 1, 1, 0]


async def test_what_a_tick_deletes_is_bounded_by_what_was_logged(record: Record) -> None:
    for age in (3_603, 3_602, 3_601):
        log = "insert into logs (job_id, fence, first, lines) values ($1, 1, 1, convert_to(repeat('x', $2), 'UTF8'))"
        await record.sql.execute(log, UUID(await record.finished(age)), 140 << 20)
    assert [len(await pruned(record)) for _ in range(4)] == [1, 1, 1, 0]


async def test_what_has_not_finished_stays_however_old_it_is(record: Record) -> None:
    queued, later = await record.accepted(
        new_job(id=aged_id(9_000), keep_s=0.001), new_job(id=aged_id(8_000), delay_s=60, keep_s=0.001)
    )
    running = await record.claimed(id=aged_id(9_000), keep_s=0.001)
    assert await pruned(record) == set()
    assert await record.left() == {queued, later, running.id}


async def test_the_record_says_when_a_job_finished_and_not_its_id(record: Record) -> None:
    early, late = await record.claimed(id=aged_id(9_000)), await record.claimed(id=aged_id(0))
    await record.finish(early.id, 60)
    await record.finish(late.id, 3_601)
    assert await pruned(record) == {late.id}


async def test_each_job_is_kept_for_as_long_as_was_said_when_it_came(record: Record) -> None:
    gone = {await record.finished(61, keep_s=60), await record.finished(7_300, keep_s=7_200)}
    kept = {await record.finished(50, keep_s=60), await record.finished(700, keep_s=7_200)}
    assert await pruned(record) == gone
    assert await record.left() == kept


@pytest.mark.parametrize("keep_s", [0.001, 100 * 365 * 86_400.0])
async def test_whatever_ends_a_job_says_how_long_it_is_kept(record: Record, keep_s: float) -> None:
    kept = {"keep_s": keep_s}
    good, bad = [await record.claimed(**kept) for _ in range(2)]
    await record.store.settle([succeeded(good, b"1"), failed(bad, Failure("x", "y"))])
    (cancelled,), (overdue,), (refused,) = [await record.accepted(deadline_s=60, **kept) for _ in range(3)]
    await record.control.cancel("acme", cancelled)
    await record.change(refused, "deadline = now()")
    assert len(await record.store.defer_unclaimed([refused], KINDS)) == 1
    await record.change(overdue, "deadline = now()")
    assert len(await record.keeper.fail_overdue(10)) == 1
    lost = await record.claimed(**kept)
    await record.change(lost.id, f"crash_count = {LOST_LIMIT}")
    await record.expire(lost.id)
    assert [job.state for job in await record.rescue()] == ["failed"]
    asked = "select extract(epoch from expires_at - finished_at)::float8 from jobs"
    assert [row[0] for row in await record.sql.fetch(asked)] == [pytest.approx(keep_s)] * 6
    assert len(await pruned(record)) == (6 if keep_s < 1 else 0)


async def test_a_tick_deletes_no_more_than_it_may_and_the_longest_over_first(record: Record) -> None:
    ids = [await record.finished(4_000 + number) for number in range(5)]
    ticks = [await record.keeper.prune_jobs(2) for _ in range(4)]
    assert [set(each) for each in ticks] == [{ids[4], ids[3]}, {ids[2], ids[1]}, {ids[0]}, set()]


async def test_a_job_that_somebody_holds_does_not_hold_up_the_others(record: Record) -> None:
    held, free = await record.finished(4_000), await record.finished(4_001)
    async with record.locked("select from jobs where id = $1 for update", UUID(held)):
        assert await pruned(record) == {free}
    assert await pruned(record) == {held}


async def test_a_key_outlives_its_job_and_stands_for_none_then(record: Record) -> None:
    await record.finished(4_000, key="k", request_hash=b"h")
    await pruned(record)
    assert await record.store.find_idempotency_keys([("acme", "k")]) == {
        ("acme", "k"): IdempotencyKeyUse(b"h", NOBODY)
    }
    assert not await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", aged_id(0)))


async def give_keys(record: Record, job_id: str, count: int) -> None:
    await record.sql.execute(
        """insert into idempotency_keys (tenant, key, request_hash, job_id)
        select 'acme', left($1, 13) || n, '', $1::uuid from generate_series(1, $2::int) as n""",
        job_id,
        count,
    )


async def bound_keys(record: Record) -> int:
    found: int = await record.sql.fetchval("select count(*) from idempotency_keys where job_id <> $1", NOBODY)
    return found


async def test_a_job_with_very_many_keys_goes_when_the_last_of_them_is_free(record: Record) -> None:
    """A result that is reused may get a key with every request."""
    few, many, none = [await record.finished(4_000 - number) for number in range(3)]
    await give_keys(record, few, 10)
    await give_keys(record, many, 10_001)
    ticks = [(await pruned(record), await bound_keys(record)) for _ in range(4)]
    assert ticks == [({few}, 10_001), (set(), 1), ({many, none}, 0), (set(), 0)]


async def test_a_tick_frees_a_bounded_number_of_keys(record: Record) -> None:
    for number in range(3):
        await give_keys(record, await record.finished(4_000 - number), 4_000)
    assert [len(await pruned(record)) for _ in range(3)] == [2, 1, 0]
    assert await bound_keys(record) == 0


async def test_a_job_with_very_many_keys_can_be_deleted(record: Record) -> None:
    job_id = await record.finished(1)
    await give_keys(record, job_id, 20_001)
    assert not await record.control.delete_job("stranger", job_id)
    assert await record.control.delete_job("acme", job_id)
    assert (await bound_keys(record), await record.left()) == (0, set())
    assert not await record.control.delete_job("acme", job_id)


async def test_eight_keepers_forget_every_job_once(record: Record) -> None:
    jobs = [new_job(id=aged_id(4_000 + number)) for number in range(60)]
    await record.accepted(*jobs)
    await record.store.claim(ids_of(jobs), KINDS)
    for job in jobs:
        await record.finish(job.id, 4_000)
    gone: list[str] = []
    while len(gone) < len(jobs):
        ticks = (record.keeper.prune_jobs(7) for _ in range(8))
        gone += [each for found in await asyncio.gather(*ticks) for each in found]
    assert sorted(gone) == sorted(ids_of(jobs))
    assert await record.left() == set()


async def key(record: Record, name: str, age_s: float, job_id: str = NOBODY, tenant: str = "acme") -> None:
    """An idempotency key that was made so many seconds ago."""
    await record.store.bind_idempotency_key(tenant, name, IdempotencyKeyUse(b"h", job_id))
    await record.sql.execute(
        "update idempotency_keys set created_at = date_trunc('second', now()) - $1 * interval '1 second' where key = $2",
        age_s,
        name,
    )


async def keys(record: Record) -> set[str]:
    return {row[0] for row in await record.sql.fetch("select key from idempotency_keys")}


async def test_keys_go_after_their_time_but_not_before_their_jobs(record: Record) -> None:
    job = await record.claimed()
    await key(record, "young", 50)
    await key(record, "old", 70)
    await key(record, "in use", 9_000, job.id)
    assert await record.keeper.prune_idempotency_keys(60, 100) == 1
    assert await keys(record) == {"young", "in use"}
    await record.finish(job.id, 4_000)
    await record.keeper.prune_jobs(10)
    assert await record.keeper.prune_idempotency_keys(60, 100) == 1
    assert await keys(record) == {"young"}


async def test_no_more_keys_go_at_once_than_are_asked_for_the_oldest_first(record: Record) -> None:
    for number in range(5):
        await key(record, f"k{number}", 1_000 * (number + 1))
    assert await record.keeper.prune_idempotency_keys(60, 3) == 3
    assert await keys(record) == {"k0", "k1"}


async def batch(record: Record, name: str, age_s: float, *items: str) -> None:
    """A batch that has expired so many seconds ago, with the jobs of these items."""
    await record.sql.execute(
        "insert into batches (id, tenant, key, items, expires_at)"
        " values (gen_random_uuid(), 'acme', $1, $2::text[]::uuid[], now() - $3 * interval '1 second')",
        name,
        list(items),
        age_s,
    )


async def batches(record: Record) -> set[str]:
    return {row[0] for row in await record.sql.fetch("select key from batches")}


async def test_batches_go_after_their_time_but_not_before_their_jobs(record: Record) -> None:
    job = await record.claimed()
    await batch(record, "young", -50, aged_id(0))
    await batch(record, "empty", 70)
    await batch(record, "over", 70, aged_id(0), aged_id(0))
    await batch(record, "in use", 9_000, aged_id(0), job.id)
    assert await record.keeper.prune_batches(100) == 3
    assert await batches(record) == {"young", "in use"}
    await record.finish(job.id, 4_000)
    await record.keeper.prune_jobs(10)
    assert await record.keeper.prune_batches(100) == 0  # it is looked at now and then
    await record.sql.execute("update batches set expires_at = expires_at - interval '61 minutes'")
    assert await record.keeper.prune_batches(100) == 2
    assert await batches(record) == set()


async def test_no_more_batches_are_looked_at_at_once_than_are_asked_for_or_have_so_many_items(
    record: Record,
) -> None:
    for number in range(5):
        await batch(record, f"b{number}", 1_000 * (number + 1))
    assert await record.keeper.prune_batches(3) == 3
    assert await batches(record) == {"b0", "b1"}
    for number in range(3):
        await record.sql.execute(
            "insert into batches (id, tenant, key, items, expires_at)"
            " select gen_random_uuid(), 'acme', $1, array_agg(gen_random_uuid()), now() - interval '3 hours'"
            " from generate_series(1, 30000)",
            f"large {number}",
        )
    assert [await record.keeper.prune_batches(10) for _ in range(2)] == [2, 3]


async def test_a_tick_deletes_a_bounded_number_of_bytes(record: Record) -> None:
    old = [await record.finished(ago_s) for ago_s in (3_603, 3_602, 3_601)]
    for job_id in old:
        await record.sql.execute(
            "insert into inputs (id, input) values ($1, convert_to(repeat('x', 140000000), 'UTF8'))",
            UUID(job_id),
        )
    assert [await pruned(record) for _ in old] == [{each} for each in old]
