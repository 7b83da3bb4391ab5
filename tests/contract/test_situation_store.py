"""What every sluice.core.ports.SituationStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice.core.access import Actor
from sluice.core.errors import ServerAway
from sluice.core.explanation import Situation
from sluice.core.lifecycle import Failure, retried
from tests.contract.conftest import KINDS, PAST, Record
from tests.support.make_jobs import new_job, new_jobs

NO_JOB = "01900000-0000-7000-8000-000000000000"
FAILURE = Failure("handler-error", "LookupError", "nothing there", traceback="in line 1")


async def situation(record: Record, job_id: str) -> Situation:
    """Return that of a job which is there."""
    found = await record.situations.find_situation("acme", job_id)
    assert found is not None
    return found


async def test_a_job_is_found_as_it_is_looked_up_by_its_tenant_alone(record: Record) -> None:
    (job_id,) = await record.accepted(new_job(handler_version=3))
    found = await situation(record, job_id)
    assert found.job == await record.job(job_id)
    assert (found.handler_version, found.paused, found.ahead, found.tries) == (3, None, 0, [])
    assert await record.situations.find_situation("other", job_id) is None
    assert await record.situations.find_situation("acme", NO_JOB) is None


async def test_those_of_its_lane_and_priority_that_were_offered_before_are_counted(record: Record) -> None:
    jobs = [
        *new_jobs(3),
        new_job(priority="high"),
        new_job(lane="heavy"),
        new_job(kind="other.kind"),
        new_job(),
    ]
    ids = await record.accepted(*jobs)
    for age, job_id in enumerate(ids):
        await record.offer_at(job_id, PAST + timedelta(seconds=age))
    await record.jobs.claim(ids[:1], KINDS)
    assert [(await situation(record, each)).ahead for each in ids] == [0, 0, 1, 0, 0, 2, 3]


async def test_a_pause_of_its_lane_is_told(record: Record) -> None:
    here, elsewhere = await record.accepted(new_job(), new_job(lane="heavy"))
    pause = await record.lanes.pause_lane("default", "as asked", "ops", Actor("key"))
    assert (await situation(record, here)).paused == pause
    assert (await situation(record, elsewhere)).paused is None


async def test_who_serves_its_lane_and_its_kind_is_told(record: Record) -> None:
    known, strange, elsewhere = await record.accepted(
        new_job(), new_job(kind="strange"), new_job(lane="nobodys")
    )
    await record.serve("demo.sum", 4)
    found = [await situation(record, each) for each in (known, strange, elsewhere)]
    assert [(each.lane_served, each.served) for each in found] == [(True, 4), (True, None), (False, None)]


async def test_attempts_are_told_in_order(record: Record) -> None:
    job = await record.claimed()
    await record.jobs.settle([retried(job, FAILURE, delay_s=60)])
    (found,) = (await situation(record, job.id)).tries
    (told,) = await record.control.list_attempts(job.id)
    assert found == (1, "handler-error", job.started_at, told.finished_at)


async def test_a_record_that_is_away_says_so(record: Record) -> None:
    record.leave()
    with pytest.raises(ServerAway):
        await record.situations.find_situation("acme", NO_JOB)
