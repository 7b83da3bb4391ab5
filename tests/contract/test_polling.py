"""What every JobStore does without hints: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from sluice.core.access import Actor
from sluice.core.lanes import Turns
from tests.contract.conftest import KINDS, PAST, Record
from tests.support.make_jobs import new_job, new_jobs

NO_TURNS = Turns().had


async def test_the_oldest_jobs_of_a_lane_are_claimed_by_weight(record: Record) -> None:
    low, normal, heavy = new_jobs(2, priority="low"), new_jobs(6), new_jobs(1, lane="heavy")
    ids = await record.accepted(*low, *normal, *heavy, new_job(kind="not.here"), new_job(delay_s=60))
    for age, job_id in enumerate(ids[:8]):
        await record.offer_at(job_id, PAST + timedelta(seconds=age))
    pulled = await record.jobs.pull("default", 6, KINDS, NO_TURNS)
    assert {job.id for job in pulled} == {low[0].id, *(job.id for job in normal[:5])}
    assert {(job.state, job.fence, job.input) for job in pulled} == {("running", 1, b'{"values":[1,2]}')}
    rest = await record.jobs.pull("default", 10, KINDS, NO_TURNS)
    assert {job.id for job in [*pulled, *rest]} == set(ids[:8])
    assert await record.jobs.pull("default", 10, KINDS, NO_TURNS) == []


async def test_nothing_of_a_paused_lane_is_claimed_until_it_is_resumed(record: Record) -> None:
    waiting, late, elsewhere = await record.accepted(new_job(), new_job(deadline_s=60), new_job(lane="heavy"))
    await record.change(late, {"deadline": PAST})
    await record.lanes.pause_lane("default", "as asked", "ops", Actor("key"))
    assert await record.jobs.pull("default", 10, KINDS, NO_TURNS) == []
    assert [job.id for job in await record.jobs.pull("heavy", 10, KINDS, NO_TURNS)] == [elsewhere]
    await record.lanes.resume_lane("default", "ops", Actor("key"))
    assert {job.id for job in await record.jobs.pull("default", 10, KINDS, NO_TURNS)} == {waiting, late}


async def test_turns_that_a_priority_has_had_count(record: Record) -> None:
    low, normal = await record.accepted(new_job(priority="low"), new_job())
    (first,) = await record.jobs.pull("default", 1, KINDS, NO_TURNS | {"normal": 4})
    assert (first.id, normal) == (low, normal)


async def test_only_a_version_that_is_not_older_runs_a_job(record: Record) -> None:
    ids = await record.accepted(*(new_job(handler_version=each, fingerprint=b"f" * 32) for each in (1, 2, 3)))
    pulled = await record.jobs.pull("default", 10, {"demo.sum": 2}, NO_TURNS)
    assert {job.id: job.fingerprint for job in pulled} == {ids[0]: None, ids[1]: b"f" * 32}


async def test_the_overdue_come_back_failed(record: Record) -> None:
    late, fine = await record.accepted(new_job(deadline_s=60), new_job())
    await record.change(late, {"deadline": PAST})
    pulled = {job.id: job for job in await record.jobs.pull("default", 10, KINDS, NO_TURNS)}
    assert {job_id: job.state for job_id, job in pulled.items()} == {late: "failed", fine: "running"}
    assert pulled[late]._replace(owner=None) == await record.job(late)


async def test_what_this_process_runs_in_a_lane_is_found_again(record: Record) -> None:
    mine = await record.claimed()
    await record.claimed(lane="heavy")
    await record.accepted()
    assert await record.jobs.recover_lane_claims("default", KINDS) == [mine]
