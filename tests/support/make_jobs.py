"""Ordinary values for tests to begin with; a test changes only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time
from typing import Any

import uuid_utils

from sluice.core.job import Job, NewJob, as_accepted

AT = datetime(2026, 1, 2, tzinfo=UTC)


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
