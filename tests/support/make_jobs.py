"""Ordinary values for tests to begin with; a test changes only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time
from typing import Any
from uuid import uuid4

import uuid_utils

from sluice.core.job import Job, NewJob, as_accepted
from sluice.core.schedule import NewSchedule

AT = datetime(2026, 1, 2, tzinfo=UTC)
OPTIONS = '{"lane":"heavy","priority":"low","max_attempts":7,"timeout_s":1.5,"keep_s":3600,"handler_version":1,"deadline_s":60,"tags":["a b","ü"]}'


def aged_id(age_s: float) -> str:
    """Make an id of so many seconds ago."""
    at, rest = f"{int((time() - age_s) * 1000):012x}", str(uuid_utils.uuid7())[14:]
    return f"{at[:8]}-{at[8:]}-{rest}"


def new_job(**changes: Any) -> NewJob:
    """Make a job that is not in the record yet."""
    usual = NewJob(
        id=str(uuid_utils.uuid7()),
        tenant="acme",
        kind="demo.sum",
        lane="default",
        priority="normal",
        input=b'{"values":[1,2]}',
        max_attempts=5,
        timeout_s=None,
        keep_s=3_600,
        ids_per_message=16,
    )
    return usual._replace(**changes)


def new_jobs(count: int, **changes: Any) -> list[NewJob]:
    """Make so many, alike but for the id."""
    return [new_job(**changes) for _ in range(count)]


def ids_of(jobs: list[NewJob] | list[Job]) -> list[str]:
    """Return their ids, in order."""
    return [job.id for job in jobs]


def finished_job(**changes: Any) -> Job:
    """Make a job that has succeeded."""
    job = as_accepted(new_job(), AT)
    done: dict[str, Any] = {
        "state": "succeeded",
        "version": 3,
        "attempt": 1,
        "finished_at": AT,
        "result": b'{"total":3}',
    }
    return job._replace(**(done | changes))


def new_schedule(**changes: Any) -> NewSchedule:
    """A schedule on its way into the record, which fires in an hour and then not for a long time."""
    usual = NewSchedule(
        id=str(uuid4()),
        tenant="acme",
        name="nightly",
        cron="0 0 29 2 *",
        timezone="UTC",
        kind="demo.sum",
        input=b'{"values":[1]}',
        options=OPTIONS,
        catch_up="one",
        next_at=datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1),
    )
    return usual._replace(**changes)
