"""Values that tests begin with: each is ordinary, and a test changes only what it is about."""

from __future__ import annotations

from typing import Any

import uuid_utils

from core.job import Job, NewJob


def new_job(**changes: Any) -> NewJob:
    """A job on its way into the record."""
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
    """So many of them, alike but for the id."""
    return [new_job(**changes) for _ in range(count)]


def ids_of(jobs: list[NewJob] | list[Job]) -> list[str]:
    """Their ids, in order."""
    return [job.id for job in jobs]
