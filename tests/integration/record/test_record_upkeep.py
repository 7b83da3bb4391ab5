"""The statements that tidy and count: what was kept for long enough goes, and nothing else; counts are what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import orjson
import pytest

from consumer.keeper.prune import FIRST_ID, FIRST_KEY
from sluice.adapters.postgres import upkeep as names
from sluice.adapters.postgres.upkeep import Upkeep
from sluice.core.job import IdempotencyKeyUse
from sluice.core.lifecycle import Failure, retried
from sluice.core.ports import IdempotencyKeyCursor, Pruned
from sluice.core.queue_stats import LaneCount, LaneStatistics, LaneWork, Times
from sluice.core.retention import Retention
from tests.integration.record.record_fixture import KINDS, Record, body
from tests.support.make_jobs import aged_id, ids_of, new_job, new_jobs

HOUR = Retention({}, 3_600)
NOBODY = "00000000-0000-0000-0000-000000000000"
WORK = LaneWork(slots=8, per_second=2.5, times=Times(runs=3, mean_s=1, p50_s=1, p90_s=2))


async def pruned(record: Record, kept: Retention = HOUR) -> tuple[str, ...]:
    """What a single tick deletes that looks at everything."""
    found = await record.upkeep.prune_jobs(FIRST_ID, kept, 1_000)
    assert found is not None
    return found.gone


# Jobs


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
        found = await record.upkeep.prune_jobs(after, HOUR, 2)
        assert found is not None
        ticks.append((len(found.gone), found.looked_at, found.last))
        after = found.last or after
    assert ticks == [(1, 2, ids[0]), (2, 2, ids[2]), (2, 2, ids[4]), (0, 0, None)]
    assert await record.left() == {stays}


async def test_jobs_that_cannot_be_old_enough_are_not_even_looked_at(record: Record) -> None:
    await record.finished(3_590)
    await record.accepted()
    assert await record.upkeep.prune_jobs(FIRST_ID, HOUR, 10) == Pruned((), 0, None)


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
        ticks = (record.upkeep.prune_jobs(FIRST_ID, HOUR, 7) for _ in range(8))
        gone += [each for found in await asyncio.gather(*ticks) if found for each in found.gone]
    assert sorted(gone) == sorted(ids_of(jobs))
    assert await record.left() == set()


# Keys and notes


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
    found = await record.upkeep.prune_idempotency_keys(FIRST_KEY, 60, 100)
    assert found is not None
    assert (found.gone, found.looked_at) == (2, 3)
    assert await keys(record) == {"young", "in use"}
    await record.sql.execute("delete from jobs")
    assert (await record.upkeep.prune_idempotency_keys(FIRST_KEY, 60, 100)) is not None
    assert await keys(record) == {"young"}


async def test_keys_that_were_made_at_the_same_time_are_all_come_by(record: Record) -> None:
    (job_id,) = await record.accepted()
    for number in range(7):
        await key(record, f"k{number}", 100, job_id if number % 2 else NOBODY, tenant=f"t{number % 3}")
    await record.sql.execute("update idempotency_keys set created_at = now() - interval '100 seconds'")
    after, ticks = FIRST_KEY, []
    for _ in range(5):
        found = await record.upkeep.prune_idempotency_keys(after, 60, 2)
        assert found is not None
        ticks.append((found.gone, found.looked_at))
        after = found.last or after
    assert [looked_at for _, looked_at in ticks] == [2, 2, 2, 1, 0]
    assert sum(gone for gone, _ in ticks) == 4
    assert isinstance(after, IdempotencyKeyCursor)
    assert await keys(record) == {"k1", "k3", "k5"}


async def test_notes_of_consumers_go_once_they_are_silent_for_long(record: Record) -> None:
    await record.store.upsert_consumer("here", 1, ["default"])
    await record.sql.execute(
        "insert into consumers (id, host, pid, release, lanes, seen_at)"
        " select gen_random_uuid(), 'gone', 1, '0', '{}', now() - interval '2 days' from generate_series(1, 3)"
    )
    assert [await record.upkeep.prune_consumers(86_400) for _ in range(2)] == [3, 0]
    assert [row[0] for row in await record.sql.fetch("select host from consumers")] == ["here"]


# Deadlines


async def test_what_waits_beyond_its_deadline_fails_wherever_it_waits(record: Record) -> None:
    queued, later, retry, alive = (
        (await record.accepted(deadline_s=60))[0],
        (await record.accepted(deadline_s=60, delay_s=30))[0],
        await record.claimed(deadline_s=60),
        (await record.accepted(deadline_s=60))[0],
    )
    running = await record.claimed(deadline_s=60)
    await record.store.settle([retried(retry, Failure("x", "y"), 30)])
    for job_id in (queued, later, retry.id, running.id):
        await record.change(job_id, "deadline = now()")
    failed = {job.id: job for job in await record.upkeep.fail_overdue(10)}
    assert failed.keys() == {queued, later, retry.id}
    assert {job.state for job in failed.values()} == {"failed"}
    for job in failed.values():
        assert body(job) == body(await record.job(job.id))
    assert orjson.loads(failed[retry.id].error or b"")["attempt"] == 1
    assert [await record.state(job_id) for job_id in (running.id, alive)] == ["running", "queued"]
    assert await record.upkeep.fail_overdue(10) == []


async def test_the_keeper_and_the_consumer_say_the_same_of_a_deadline(record: Record) -> None:
    first, second = await record.accepted(*new_jobs(2, deadline_s=60))
    for job_id in (first, second):
        await record.change(job_id, "deadline = now()")
    (by_consumer,) = await record.store.defer_unclaimed([first], KINDS)
    (by_keeper,) = await record.upkeep.fail_overdue(10)
    assert by_keeper.id == second
    assert by_keeper.error == by_consumer.error
    assert orjson.loads(by_keeper.error or b"")["type"] == "deadline-passed"


async def test_the_longest_overdue_fail_first_and_no_more_than_may(record: Record) -> None:
    ids = await record.accepted(*new_jobs(5, deadline_s=60))
    for age, job_id in enumerate(ids):
        await record.change(job_id, f"deadline = now() - interval '{age} seconds'")
    assert set(ids_of(await record.upkeep.fail_overdue(2))) == set(ids[3:])
    assert [len(await record.upkeep.fail_overdue(2)) for _ in range(3)] == [2, 1, 0]


async def test_a_job_is_started_in_time_or_fails_and_never_both(record: Record) -> None:
    claimed: list[str] = []
    failed: list[str] = []
    for _ in range(25):
        ids = await record.accepted(*new_jobs(16, deadline_s=60))
        for number, job_id in enumerate(
            ids[1:]
        ):  # the first is in time whatever happens, the second too late
            await record.change(job_id, f"deadline = now() + {number} * interval '1 millisecond'")
        one, overdue, two = await asyncio.gather(
            record.store.claim(ids, KINDS), record.upkeep.fail_overdue(100), record.other().claim(ids, KINDS)
        )
        claimed += ids_of([*one, *two])
        failed += ids_of(overdue)
    while left := await record.sql.fetchval("select count(*) from jobs where state = 'queued'"):
        failed += ids_of(await record.upkeep.fail_overdue(left))
    assert sorted(claimed + failed) == sorted(await record.left())
    assert len(claimed) >= 25
    assert len(failed) >= 25
    assert await record.sql.fetchval("select count(*) from jobs where started_at >= deadline") == 0
    states = await record.sql.fetch("select state, count(*) from jobs group by state")
    assert {row["state"]: row["count"] for row in states} == {"running": len(claimed), "failed": len(failed)}


# Counting


async def test_lanes_are_counted_with_their_tenants_and_the_age_of_the_oldest(record: Record) -> None:
    await record.accepted(*new_jobs(3), *new_jobs(2, tenant="other", priority="low"))
    (old,) = await record.accepted(priority="overflow")
    await record.change(old, "queued_at = now() - interval '50 seconds'")
    await record.claimed()
    await record.accepted(delay_s=60)
    await record.accepted(lane="not_ours")
    counts = await record.upkeep.count(["default", "heavy"], 100, 1)
    assert counts is not None
    default = counts.pop("default")
    assert counts == {"heavy": LaneCount(queued=0, running=0, oldest_queued_s=0, oldest_undispatched_s=0)}
    assert (default.queued, default.running, default.tenants) == (6, 1, {"acme": 4, "other": 2})
    assert 50 <= default.oldest_queued_s < 170
    assert 50 <= default.oldest_undispatched_s < 170


async def test_what_rabbitmq_has_confirmed_is_not_undispatched(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.change(job_id, "queued_at = now() - interval '50 seconds'")
    await record.empty_outbox()
    counts = await record.upkeep.count(["default"], 100, 1)
    assert counts is not None
    assert counts["default"].oldest_queued_s >= 50
    assert counts["default"].oldest_undispatched_s == 0


async def test_a_backlog_is_counted_up_to_a_limit_and_its_age_is_right_all_the_same(record: Record) -> None:
    ids = await record.accepted(*new_jobs(20), *new_jobs(20, priority="low"))
    await record.change(ids[-1], "queued_at = now() - interval '50 seconds'")
    counts = await record.upkeep.count(["default"], 10, 1)
    assert counts is not None
    assert counts["default"].queued == 10
    assert counts["default"].oldest_queued_s >= 50


async def test_no_more_tenants_are_told_than_a_thousand_and_those_with_most(record: Record) -> None:
    await record.accepted(*(new_job(tenant=f"t{number}") for number in range(1_010)), *new_jobs(2))
    counts = await record.upkeep.count(["default"], 10_000, 1)
    assert counts is not None
    assert len(counts["default"].tenants) == 1_000
    assert counts["default"].tenants["acme"] == 2
    assert counts["default"].queued == 1_012


async def test_what_was_counted_a_moment_ago_is_not_counted_again(record: Record) -> None:
    await record.accepted()
    counts = await record.upkeep.count(["default"], 10, 60)
    assert counts is not None
    statistics = {"default": LaneStatistics(**dict(counts["default"]), slots=3)}
    await record.upkeep.keep_statistics(statistics)
    assert await record.upkeep.count(["default"], 10, 60) is None
    assert await record.upkeep.count(["default"], 10, 0) == {
        "default": counts["default"].model_copy(
            update={
                "oldest_queued_s": pytest.approx(0, abs=100),
                "oldest_undispatched_s": pytest.approx(0, abs=100),
            }
        )
    }
    assert await record.upkeep.latest_statistics(60) == statistics


async def test_statistics_that_are_out_of_date_or_not_ours_are_not_told(record: Record) -> None:
    statistics = {
        name: LaneStatistics(queued=1, running=0, oldest_queued_s=0, oldest_undispatched_s=0)
        for name in ("default", "heavy", "light")
    }
    await record.upkeep.keep_statistics(statistics)
    await record.sql.execute("insert into lanes (name) values ('paused')")
    await record.sql.execute("update lanes set updated_at = now() - interval '1 minute' where name = 'heavy'")
    await record.sql.execute("""update lanes set statistics = '{"queued": "many"}' where name = 'light'""")
    assert (await record.upkeep.latest_statistics(30)).keys() == {"default"}
    await record.upkeep.keep_statistics(statistics)
    assert (await record.upkeep.latest_statistics(30)) == statistics


async def test_consumers_report_their_work_until_they_fall_silent(record: Record) -> None:
    other = Upkeep(record.database, uuid4())
    await record.store.upsert_consumer("here", 1, ["default"])
    await record.upkeep.report_work({"default": WORK})
    await other.report_work({"default": WORK})  # it has not signed in yet
    assert await record.upkeep.list_work(60) == [{"default": WORK}]
    await record.sql.execute(
        "insert into consumers (id, host, pid, release, lanes, statistics)"
        """ values (gen_random_uuid(), 'new', 1, '9', '{}', '{"default": {"slots": "many"}}')"""
    )
    assert await record.upkeep.list_work(60) == [{"default": WORK}]
    await record.sql.execute("update consumers set seen_at = now() - interval '2 minutes'")
    assert await record.upkeep.list_work(60) == []
    await record.upkeep.report_work({"default": WORK})
    assert await record.upkeep.list_work(60) == [{"default": WORK}]


DUTIES: dict[str, tuple[int, Callable[[Upkeep], Awaitable[object]]]] = {
    "prune": (names.PRUNE_LOCK, lambda upkeep: upkeep.prune_jobs(FIRST_ID, HOUR, 10)),
    "prune keys": (names.PRUNE_KEYS_LOCK, lambda upkeep: upkeep.prune_idempotency_keys(FIRST_KEY, 60, 10)),
    "overdue": (names.OVERDUE_LOCK, lambda upkeep: upkeep.fail_overdue(10)),
    "count": (names.COUNT_LOCK, lambda upkeep: upkeep.count(["default"], 10, 1)),
}


@pytest.mark.parametrize(("lock", "duty"), DUTIES.values(), ids=DUTIES.keys())
async def test_a_duty_that_another_keeper_is_at_is_left_to_it(
    record: Record, lock: int, duty: Callable[[Upkeep], Awaitable[object]]
) -> None:
    await record.finished(4_000)
    await key(record, "old", 9_000)
    await record.change((await record.accepted(deadline_s=60))[0], "deadline = now()")
    async with record.locked("select pg_advisory_xact_lock($1)", lock):
        assert await duty(record.upkeep) in ([], None)
    assert await duty(record.upkeep) not in ([], None)
