"""The statements that prune: what was kept for long enough goes, and nothing else."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from consumer.keeper.prune_jobs import FIRST_ID
from consumer.keeper.prune_keys import FIRST_KEY
from sluice.core.job import IdempotencyKeyUse
from sluice.core.lifecycle import Failure, retried
from sluice.core.ports import IdempotencyKeyCursor, Pruned
from sluice.core.retention import Retention
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import aged_id, ids_of, new_job

HOUR = Retention({}, 3_600)
NOBODY = "00000000-0000-0000-0000-000000000000"


async def pruned(record: Record, kept: Retention = HOUR) -> tuple[str, ...]:
    """What a single tick deletes that looks at everything."""
    found = await record.prune.prune_jobs(FIRST_ID, kept, 1_000)
    assert found is not None
    return found.gone


async def test_finished_jobs_go_after_their_time_with_their_attempts(record: Record) -> None:
    old, young = await record.finished(3_601), await record.finished(3_500)
    retry = await record.claimed(id=aged_id(9_000))
    await record.store.settle([retried(retry, Failure("x", "y"), 0)])
    await record.change(retry.id, "state = 'queued', queued_at = now()")
    await record.claim(retry.id)
    await record.finish(retry.id, 3_601)
    assert len(await record.attempts(retry.id)) == 1
    assert set(await pruned(record)) == {old, retry.id}
    assert await record.left() == {young}
    assert await record.attempts(retry.id) == []
    assert await pruned(record) == ()


async def test_what_has_not_finished_stays_however_old_it_is(record: Record) -> None:
    queued, later = await record.accepted(new_job(id=aged_id(9_000)), new_job(id=aged_id(8_000), delay_s=60))
    running = await record.claimed(id=aged_id(9_000))
    assert await pruned(record, Retention({}, 0.001)) == ()
    assert await record.left() == {queued, later, running.id}


async def test_the_record_says_when_a_job_finished_and_not_its_id(record: Record) -> None:
    job = await record.claimed(id=aged_id(9_000))
    await record.finish(job.id, 60)
    assert await pruned(record) == ()
    assert await pruned(record, Retention({}, 59)) == (job.id,)


async def test_each_kind_is_kept_for_its_time_and_unknown_ones_for_that_of_the_setting(
    record: Record,
) -> None:
    kept = Retention({"demo.sum": 60, "demo.sleep": 7_200}, 600)
    short = [await record.finished(ago, kind="demo.sum") for ago in (61, 50)]
    long = [await record.finished(ago, kind="demo.sleep") for ago in (7_300, 700)]
    other = [await record.finished(ago, kind="demo.sum") for ago in (700, 500)]
    await record.sql.execute("alter table jobs disable trigger jobs_history")
    for job_id in other:
        await record.change(job_id, "kind = 'not.ours'")
    await record.sql.execute("alter table jobs enable trigger jobs_history")
    assert set(await pruned(record, kept)) == {short[0], long[0], other[0]}


async def test_a_tick_goes_on_where_the_last_one_ended(record: Record) -> None:
    ids = sorted([await record.finished(4_000 + number) for number in range(5)])
    await record.change((await record.accepted(id=aged_id(9_000)))[0], "queued_at = now()")
    stays = min(await record.left())
    after, ticks = FIRST_ID, []
    for _ in range(4):
        found = await record.prune.prune_jobs(after, HOUR, 2)
        assert found is not None
        ticks.append((len(found.gone), found.looked_at, found.last))
        after = found.last or after
    assert ticks == [(1, 2, ids[0]), (2, 2, ids[2]), (2, 2, ids[4]), (0, 0, None)]
    assert await record.left() == {stays}


async def test_jobs_that_cannot_be_old_enough_are_not_even_looked_at(record: Record) -> None:
    await record.finished(3_590)
    await record.accepted()
    assert await record.prune.prune_jobs(FIRST_ID, HOUR, 10) == Pruned((), 0, None)


@pytest.mark.parametrize("keep_s", [0.001, 100 * 365 * 86_400.0])
async def test_any_retention_that_is_taken_can_be_reckoned_with(record: Record, keep_s: float) -> None:
    job_id = await record.finished(60)
    assert await pruned(record, Retention({}, keep_s)) == ((job_id,) if keep_s < 60 else ())


async def test_a_job_that_somebody_holds_does_not_hold_up_the_others(record: Record) -> None:
    held, free = await record.finished(4_000), await record.finished(4_001)
    async with record.locked("select from jobs where id = $1 for update", UUID(held)):
        assert await pruned(record) == (free,)
    assert await pruned(record) == (held,)


async def test_a_key_outlives_its_job_and_stands_for_none_then(record: Record) -> None:
    await record.finished(4_000, key="k", request_hash=b"h")
    await pruned(record)
    assert await record.store.find_idempotency_keys([("acme", "k")]) == {
        ("acme", "k"): IdempotencyKeyUse(b"h", NOBODY)
    }
    assert not await record.store.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", aged_id(0)))


async def test_eight_keepers_forget_every_job_once(record: Record) -> None:
    jobs = [new_job(id=aged_id(4_000 + number)) for number in range(60)]
    await record.accepted(*jobs)
    await record.store.claim(ids_of(jobs), KINDS)
    for job in jobs:
        await record.finish(job.id, 4_000)
    gone: list[str] = []
    while len(gone) < len(jobs):
        ticks = (record.prune.prune_jobs(FIRST_ID, HOUR, 7) for _ in range(8))
        gone += [each for found in await asyncio.gather(*ticks) if found for each in found.gone]
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
    (job_id,) = await record.accepted()
    await key(record, "young", 50)
    await key(record, "old", 70)
    await key(record, "orphan", 70, str(uuid4()))
    await key(record, "in use", 9_000, job_id)
    found = await record.prune.prune_idempotency_keys(FIRST_KEY, 60, 100)
    assert found is not None
    assert (found.gone, found.looked_at) == (2, 3)
    assert await keys(record) == {"young", "in use"}
    await record.sql.execute("delete from jobs")
    assert (await record.prune.prune_idempotency_keys(FIRST_KEY, 60, 100)) is not None
    assert await keys(record) == {"young"}


async def test_keys_that_were_made_at_the_same_time_are_all_come_by(record: Record) -> None:
    (job_id,) = await record.accepted()
    for number in range(7):
        await key(record, f"k{number}", 100, job_id if number % 2 else NOBODY, tenant=f"t{number % 3}")
    await record.sql.execute("update idempotency_keys set created_at = now() - interval '100 seconds'")
    after, ticks = FIRST_KEY, []
    for _ in range(5):
        found = await record.prune.prune_idempotency_keys(after, 60, 2)
        assert found is not None
        ticks.append((found.gone, found.looked_at))
        after = found.last or after
    assert [looked_at for _, looked_at in ticks] == [2, 2, 2, 1, 0]
    assert sum(gone for gone, _ in ticks) == 4
    assert isinstance(after, IdempotencyKeyCursor)
    assert await keys(record) == {"k1", "k3", "k5"}


async def test_notes_of_consumers_go_once_they_are_silent_for_long(record: Record) -> None:
    await record.statistics.upsert_consumer("here", 1, ["default"])
    await record.sql.execute(
        "insert into consumers (id, host, pid, release, lanes, seen_at)"
        " select gen_random_uuid(), 'gone', 1, '0', '{}', now() - interval '2 days' from generate_series(1, 3)"
    )
    assert [await record.prune.prune_consumers(86_400) for _ in range(2)] == [3, 0]
    assert [row[0] for row in await record.sql.fetch("select host from consumers")] == ["here"]
