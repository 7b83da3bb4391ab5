"""What waits and runs is counted as it is, and consumers report their work."""

from __future__ import annotations

from uuid import uuid4

import pytest

from sluice.adapters.postgres.statistics_store import PostgresStatisticsStore
from sluice.core.queue_stats import LaneCount, LaneStatistics, LaneWork, Times
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import new_job, new_jobs

WORK = LaneWork(slots=8, per_second=2.5, times=Times(runs=3, mean_s=1, p50_s=1, p90_s=2))


async def test_lanes_are_counted_with_their_tenants_and_the_age_of_the_oldest(record: Record) -> None:
    await record.accepted(*new_jobs(3), *new_jobs(2, tenant="other", priority="low"))
    (old,) = await record.accepted(priority="overflow")
    await record.change(old, "queued_at = now() - interval '50 seconds'")
    await record.claimed()
    await record.accepted(delay_s=60)
    await record.accepted(lane="not_ours")
    counts = await record.statistics.count(["default", "heavy"], 100, 1)
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
    counts = await record.statistics.count(["default"], 100, 1)
    assert counts is not None
    assert counts["default"].oldest_queued_s >= 50
    assert counts["default"].oldest_undispatched_s == 0


async def test_a_backlog_is_counted_up_to_a_limit_and_its_age_is_right_all_the_same(record: Record) -> None:
    ids = await record.accepted(*new_jobs(20), *new_jobs(20, priority="low"))
    await record.change(ids[-1], "queued_at = now() - interval '50 seconds'")
    counts = await record.statistics.count(["default"], 10, 1)
    assert counts is not None
    assert counts["default"].queued == 10
    assert counts["default"].oldest_queued_s >= 50


async def test_no_more_tenants_are_told_than_a_thousand_and_those_with_most(record: Record) -> None:
    await record.accepted(*(new_job(tenant=f"t{number}") for number in range(1_010)), *new_jobs(2))
    counts = await record.statistics.count(["default"], 10_000, 1)
    assert counts is not None
    assert len(counts["default"].tenants) == 1_000
    assert counts["default"].tenants["acme"] == 2
    assert counts["default"].queued == 1_012


async def test_what_was_counted_a_moment_ago_is_not_counted_again(record: Record) -> None:
    await record.accepted()
    counts = await record.statistics.count(["default"], 10, 60)
    assert counts is not None
    statistics = {"default": LaneStatistics(**dict(counts["default"]), slots=3)}
    await record.statistics.keep_statistics(statistics)
    assert await record.statistics.count(["default"], 10, 60) is None
    assert await record.statistics.count(["default"], 10, 0) == {
        "default": counts["default"].model_copy(
            update={
                "oldest_queued_s": pytest.approx(0, abs=100),
                "oldest_undispatched_s": pytest.approx(0, abs=100),
            }
        )
    }
    assert await record.statistics.latest_statistics(60) == statistics


async def test_statistics_that_are_out_of_date_or_not_ours_are_not_told(record: Record) -> None:
    statistics = {
        name: LaneStatistics(queued=1, running=0, oldest_queued_s=0, oldest_undispatched_s=0)
        for name in ("default", "heavy", "light")
    }
    await record.statistics.keep_statistics(statistics)
    await record.sql.execute("insert into lanes (name) values ('paused')")
    await record.sql.execute("update lanes set updated_at = now() - interval '1 minute' where name = 'heavy'")
    await record.sql.execute("""update lanes set statistics = '{"queued": "many"}' where name = 'light'""")
    assert (await record.statistics.latest_statistics(30)).keys() == {"default"}
    await record.statistics.keep_statistics(statistics)
    assert (await record.statistics.latest_statistics(30)) == statistics


async def test_consumers_report_their_work_until_they_fall_silent(record: Record) -> None:
    other = PostgresStatisticsStore(record.database, uuid4())
    await record.statistics.upsert_consumer("here", 1, ["default"])
    await record.statistics.report_work({"default": WORK})
    await other.report_work({"default": WORK})  # it has not signed in yet
    assert await record.statistics.list_work(60) == [{"default": WORK}]
    await record.sql.execute(
        "insert into consumers (id, host, pid, release, lanes, statistics)"
        """ values (gen_random_uuid(), 'new', 1, '9', '{}', '{"default": {"slots": "many"}}')"""
    )
    assert await record.statistics.list_work(60) == [{"default": WORK}]
    await record.sql.execute("update consumers set seen_at = now() - interval '2 minutes'")
    assert await record.statistics.list_work(60) == []
    await record.statistics.report_work({"default": WORK})
    assert await record.statistics.list_work(60) == [{"default": WORK}]
