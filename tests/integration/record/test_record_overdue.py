"""Jobs that wait although their deadline has passed fail, wherever they wait and whoever finds them."""

from __future__ import annotations

import asyncio

import orjson

from sluice.core.lifecycle import Failure, retried
from tests.integration.record.record_fixture import KINDS, Record, body
from tests.support.make_jobs import ids_of, new_jobs


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
    failed = {job.id: job for job in await record.keeper.fail_overdue(10)}
    assert failed.keys() == {queued, later, retry.id}
    assert {job.state for job in failed.values()} == {"failed"}
    for job in failed.values():
        assert body(job) == body(await record.job(job.id))
    assert orjson.loads(failed[retry.id].error or b"")["attempt"] == 1
    assert [await record.state(job_id) for job_id in (running.id, alive)] == ["running", "queued"]
    assert await record.keeper.fail_overdue(10) == []


async def test_the_keeper_and_the_consumer_say_the_same_of_a_deadline(record: Record) -> None:
    first, second = await record.accepted(*new_jobs(2, deadline_s=60))
    for job_id in (first, second):
        await record.change(job_id, "deadline = now()")
    (by_consumer,) = await record.store.defer_unclaimed([first], KINDS)
    (by_keeper,) = await record.keeper.fail_overdue(10)
    assert by_keeper.id == second
    assert by_keeper.error == by_consumer.error
    assert orjson.loads(by_keeper.error or b"")["type"] == "deadline-passed"


async def test_the_longest_overdue_fail_first_and_no_more_than_may(record: Record) -> None:
    ids = await record.accepted(*new_jobs(5, deadline_s=60))
    for age, job_id in enumerate(ids):
        await record.change(job_id, f"deadline = now() - interval '{age} seconds'")
    assert set(ids_of(await record.keeper.fail_overdue(2))) == set(ids[3:])
    assert [len(await record.keeper.fail_overdue(2)) for _ in range(3)] == [2, 1, 0]


async def test_a_job_is_started_in_time_or_fails_and_never_both(record: Record) -> None:
    claimed: list[str] = []
    failed: list[str] = []
    other = record.other()
    for _ in range(25):
        ids = await record.accepted(*new_jobs(16, deadline_s=60))
        for number, job_id in enumerate(
            ids[1:]
        ):  # the first is in time whatever happens, the second too late
            await record.change(job_id, f"deadline = now() + {number} * interval '1 millisecond'")
        one, overdue, two = await asyncio.gather(
            record.store.claim(ids, KINDS), record.keeper.fail_overdue(100), other.claim(ids, KINDS)
        )
        claimed += ids_of([*one, *two])
        failed += ids_of(overdue)
    while left := await record.sql.fetchval("select count(*) from jobs where state = 'queued'"):
        failed += ids_of(await record.keeper.fail_overdue(left))
    assert sorted(claimed + failed) == sorted(await record.left())
    assert len(claimed) >= 25
    assert len(failed) >= 25
    assert await record.sql.fetchval("select count(*) from jobs where started_at >= deadline") == 0
    states = await record.sql.fetch("select state, count(*) from jobs group by state")
    assert {row["state"]: row["count"] for row in states} == {"running": len(claimed), "failed": len(failed)}
