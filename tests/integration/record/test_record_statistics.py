"""StatisticsStore over PostgreSQL: what waits and runs is counted as it is, and consumers report their work."""

from __future__ import annotations

from sluice.adapters.postgres.lane_store import PostgresLaneStore
from sluice.adapters.postgres.lease_store import PostgresLeaseStore, Serves
from sluice.core.access import Actor
from sluice.core.queue_stats import LaneCount, LaneWork, Times, write_works
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_job, new_jobs

WORK = LaneWork(slots=8, per_second=2.5, times=Times(runs=3, mean_s=1, p50_s=1, p90_s=2))


async def test_lanes_are_counted_with_their_tenants_and_the_age_of_the_oldest(record: Record) -> None:
    await record.accepted(*new_jobs(3), *new_jobs(2, tenant="other", priority="low"))
    (old,) = await record.accepted(priority="overflow")
    await record.change(old, "queued_at = now() - interval '50 seconds'")
    await record.claimed()
    await record.accepted(delay_s=60)
    await record.accepted(lane="not_ours")
    counts = await record.keeper.count(["default", "heavy"], 100)
    default, heavy = counts["default"], counts["heavy"]
    empty = LaneCount(queued=0, running=0, oldest_queued_s=0, oldest_undispatched_s=0)
    assert heavy == empty.model_copy(update={"counted_at": heavy.counted_at})
    assert (default.queued, default.running, default.tenants) == (6, 1, {"acme": 4, "other": 2})
    assert 50 <= default.oldest_queued_s < 170
    assert 50 <= default.oldest_undispatched_s < 170
    assert 0 <= default.newest_queued_s < 40
    now = await record.sql.fetchval("select extract(epoch from clock_timestamp())::float8")
    assert now - 60 < default.counted_at <= now


async def test_a_paused_lane_says_so_with_its_reason(record: Record) -> None:
    store = PostgresLaneStore(record.database, 5)
    pause = await store.pause_lane("heavy", 'the "disk" is full', "ops", Actor("a-key"))
    counts = await record.keeper.count(["default", "heavy"], 100)
    assert (counts["default"].paused, counts["heavy"].paused) == (None, pause)
    await store.resume_lane("heavy", "ops", Actor("key"))
    assert (await record.keeper.count(["heavy"], 100))["heavy"].paused is None


async def test_what_rabbitmq_has_confirmed_is_not_undispatched(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.change(job_id, "queued_at = now() - interval '50 seconds'")
    await record.empty_outbox()
    counts = await record.keeper.count(["default"], 100)
    assert counts["default"].oldest_queued_s >= 50
    assert counts["default"].oldest_undispatched_s == 0


async def test_a_backlog_is_counted_up_to_a_limit_and_its_age_is_right_all_the_same(record: Record) -> None:
    ids = await record.accepted(*new_jobs(20), *new_jobs(20, priority="low"))
    ago = "now() - interval '50 seconds'"
    await record.change(ids[-1], f"queued_at = {ago}, offered_until = {ago}")
    counts = await record.keeper.count(["default"], 10)
    assert counts["default"].queued == 20, "ten of each priority"
    assert counts["default"].oldest_queued_s >= 50


async def test_as_many_of_one_kind_are_counted_as_somebody_has_to_know_of(record: Record) -> None:
    await record.accepted(*new_jobs(30), *new_jobs(2, kind="demo.sleep"))
    assert (await record.keeper.count(["default"], 20))["default"].queued == 12, "ten of each kind"
    assert (await record.keeper.count(["default"], 20, 25))["default"].queued == 27


async def test_the_bytes_of_inputs_that_wait_are_told_from_some_of_each_kind(record: Record) -> None:
    long, short = b'"' + b"x" * 5_000 + b'"', b'"' + b"x" * 98 + b'"'
    await record.accepted(*new_jobs(10, input=long), *new_jobs(3, input=short, kind="demo.sleep"))
    await record.claimed(input=long, priority="high")
    counts = await record.keeper.count(["default", "heavy"], 100, weighed=4)
    assert (counts["default"].queued_bytes, counts["heavy"].queued_bytes) == (
        10 * len(long) + 3 * len(short),
        0,
    )
    assert (await record.keeper.count(["default"], 100))["default"].queued_bytes == 0, "nobody asks"


async def test_what_runs_is_counted_beside_a_long_backlog_of_another_kind(record: Record) -> None:
    await record.accepted(*new_jobs(20, kind="a.kind"))
    await record.claimed()
    counts = await record.keeper.count(["default"], 10)
    assert (counts["default"].queued, counts["default"].running) == (5, 1)


async def test_no_more_tenants_are_told_than_a_thousand_and_those_with_most(record: Record) -> None:
    await record.accepted(*(new_job(tenant=f"t{number}") for number in range(1_010)), *new_jobs(2))
    counts = await record.keeper.count(["default"], 10_000)
    assert len(counts["default"].tenants) == 1_000
    assert counts["default"].tenants["acme"] == 2
    assert counts["default"].queued == 1_012


async def test_consumers_report_their_work_until_they_fall_silent(record: Record) -> None:
    lease = PostgresLeaseStore(record.sql, record.owner, Serves(["default"], KINDS), 60)
    assert await lease.renew(write_works({"default": WORK}))
    assert await record.keeper.list_work(60) == [{"default": WORK}]
    strange = """update consumers set statistics = '{"default": {"slots": "many"}}' where id = $1"""
    await record.sql.execute(strange, record.another().id)
    assert await record.keeper.list_work(60) == [{"default": WORK}]
    await record.sql.execute("update consumers set seen_at = now() - interval '2 minutes'")
    assert await record.keeper.list_work(60) == []
    assert await lease.renew(write_works({"default": WORK}))
    assert await record.keeper.list_work(60) == [{"default": WORK}]
