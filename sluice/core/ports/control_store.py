"""The record for changes to a job after its submit."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.access import OPERATOR, Actor
from sluice.core.job import Job, Message
from sluice.core.job_log import LogBlock


class AttemptRecord(NamedTuple):
    """An attempt that did not succeed, as the record keeps it. `error` is a problem object as JSON bytes."""

    fence: int
    attempt: int
    outcome: str
    started_at: datetime | None
    finished_at: datetime
    error: bytes | None
    traceback: str | None


class ControlStore(Protocol):
    """The record, as clients change it after a submit. Every method asks for the tenant as well."""

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel a job that has not begun, ask a running one to stop; None if there is nothing to cancel."""

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        """Insert a new job that tries a failed one again; empty if it has not failed or has one already."""

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        """Find the job that tries this one again."""

    async def find_input(self, tenant: str, job_id: str) -> bytes | None:
        """Find the input of a job, as it was accepted; None if there is no such job."""

    async def delete_job(self, tenant: str, job_id: str, by: Actor = OPERATOR) -> bool:
        """Delete a finished job, and write down whose key did it, if one is named; false if there is none."""

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        """List the newest attempts of a job that did not succeed, at most 200, in order."""

    async def read_logs(self, job_id: str, first_fence: int, most: int) -> list[LogBlock]:
        """Read what was logged in so many attempts of a job that have ended, from this fence on, in order."""
