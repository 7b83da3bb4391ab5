"""The last line: whatever statement comes, the tables refuse to rewrite history or to hold half a state."""

from __future__ import annotations

from itertools import product
from uuid import uuid4

import asyncpg
import pytest

from sluice.core.job import TERMINAL, JobState
from sluice.core.lifecycle import EDGES
from tests.integration.record.record_fixture import Record

OPEN = "finished_at = null, expires_at = null"
OVER = "finished_at = now(), expires_at = now()"
COLUMNS = {
    JobState.SCHEDULED: f"owner = null, run_at = now(), queued_at = null, {OPEN}",
    JobState.QUEUED: f"owner = null, queued_at = now(), {OPEN}",
    JobState.RUNNING: f"owner = gen_random_uuid(), queued_at = now(), {OPEN}",
    JobState.SUCCEEDED: f"owner = null, result = '1', {OVER}",
    JobState.FAILED: f"owner = null, {OVER}",
    JobState.CANCELLED: f"owner = null, cancel_requested_at = now(), {OVER}",
}
"""What each state asks of the other columns."""

INSERT = """
insert into jobs (id, tenant, kind, lane, priority, state, version, fence, max_attempts, keep_s, input, owner, run_at, queued_at,
                  finished_at, expires_at, result, cancel_requested_at)
select $1, 'acme', 'demo.sum', 'default', 'normal', state, 5, 5, 1, 60, '', case when state = 'running' then gen_random_uuid() end,
       now(), case when state <> 'scheduled' then now() end, ended_at, ended_at,
       case when state = 'succeeded' then '1'::bytea end, case when state = 'cancelled' then now() end
from (select $2::text, case when $2 in ('succeeded', 'failed', 'cancelled') then now() end) as new(state, ended_at)
"""


async def a_row(record: Record, state: JobState) -> str:
    """A job in this state, made by hand."""
    job_id = uuid4()
    await record.sql.execute(INSERT, job_id, state)
    return str(job_id)


async def test_every_change_of_state_is_refused_but_the_legal_ones(record: Record) -> None:
    allowed = set()
    for before, after in product(JobState, JobState):
        job_id = await a_row(record, before)
        try:
            await record.change(job_id, f"state = '{after}', {COLUMNS[after]}")
        except asyncpg.CheckViolationError as error:
            assert "cannot become" in str(error)  # noqa: PT017  others may come from the columns
        else:
            allowed.add((before, after))
    stays = {(state, state) for state in set(JobState) - TERMINAL}
    assert allowed == EDGES | stays


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_nothing_at_all_of_a_finished_job_can_be_changed(record: Record, state: JobState) -> None:
    job_id = await a_row(record, state)
    for assignment in ("result = 'x'", "version = version + 1", "tenant = 'other'", "finished_at = now()"):
        with pytest.raises(asyncpg.CheckViolationError, match="cannot become"):
            await record.change(job_id, assignment)


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
@pytest.mark.parametrize("column", ["fence", "version"])
async def test_fence_and_version_never_fall(record: Record, state: JobState, column: str) -> None:
    job_id = await a_row(record, state)
    with pytest.raises(asyncpg.CheckViolationError, match="cannot become"):
        await record.change(job_id, f"{column} = {column} - 1")
    await record.change(job_id, f"{column} = {column} + 1")


@pytest.mark.parametrize(
    ("state", "assignment", "constraint"),
    [
        (JobState.RUNNING, "owner = null", "running_has_owner"),
        (JobState.RUNNING, OVER, "terminal_is_finished"),
        (JobState.RUNNING, "queued_at = null", "waiting_was_queued"),
        (JobState.QUEUED, "owner = gen_random_uuid()", "running_has_owner"),
        (JobState.QUEUED, "queued_at = null", "waiting_was_queued"),
        (JobState.QUEUED, "expires_at = now()", "finished_expires"),
        (JobState.QUEUED, "result = '1'", "success_has_result"),
        (JobState.QUEUED, "priority = 'urgent'", "jobs_priority_check"),
        (JobState.QUEUED, "state = 'asleep'", "jobs_state_check"),
        (JobState.SCHEDULED, "run_at = null", "scheduled_has_time"),
        (JobState.SCHEDULED, "queued_at = now()", "scheduled_has_time"),
        (JobState.RUNNING, "state = 'failed', owner = null", "terminal_is_finished"),
        (JobState.RUNNING, "state = 'failed', owner = null, finished_at = now()", "finished_expires"),
        (JobState.RUNNING, f"state = 'succeeded', owner = null, {OVER}", "success_has_result"),
        (JobState.RUNNING, f"state = 'cancelled', owner = null, {OVER}", "cancelled_was_asked_for"),
        (
            JobState.RUNNING,
            f"state = 'failed', owner = null, cancel_requested_at = now(), {OVER}",
            "ending_obeys_cancel",
        ),
    ],
)
async def test_no_row_can_be_half_in_a_state(
    record: Record, state: JobState, assignment: str, constraint: str
) -> None:
    job_id = await a_row(record, state)
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await record.change(job_id, assignment)


async def test_the_same_work_cannot_be_in_flight_twice(record: Record) -> None:
    first, second = await a_row(record, JobState.RUNNING), await a_row(record, JobState.SCHEDULED)
    await record.change(first, "fingerprint = 'f', flight = true")
    with pytest.raises(asyncpg.UniqueViolationError, match="jobs_flight"):
        await record.change(second, "fingerprint = 'f', flight = true")
    await record.change(first, f"state = 'failed', {COLUMNS[JobState.FAILED]}")
    await record.change(second, "fingerprint = 'f', flight = true")
