"""The record for changes to a job after its submit: one method per statement."""

from __future__ import annotations

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.rows import jobs_of, messages_of
from sluice.core.job import Job, Message
from sluice.core.ports import AttemptRecord
from sluice.core.runtime.settings import Settings

MOST_ATTEMPTS = 200
"""Attempts that are listed of a job, with tracebacks of up to 20 KB each."""


class PostgresControlStore:
    """Implements sluice.core.ports.ControlStore."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._due_s = database, settings.dispatch_due_s
        self._read_s, self._accept_s = settings.record_budget_s, settings.accept_budget_s

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel a job that has not begun, ask a running one to stop."""
        rows = await self._database.fetch("cancel", tenant, [job_id], budget_s=self._accept_s)
        return next(iter(jobs_of(rows)), None)

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        """Insert a new job that tries a failed one again."""
        rows = await self._database.fetch(
            "retry", tenant, [job_id], [new_id], self._due_s, budget_s=self._accept_s
        )
        return list(messages_of(rows))

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        """Find the job that tries this one again."""
        rows = await self._database.fetch("find_retry", tenant, job_id, budget_s=self._read_s)
        return next(iter(jobs_of(rows)), None)

    async def delete_job(self, tenant: str, job_id: str) -> bool:
        """Delete a finished job."""
        return bool(await self._database.fetch("delete_job", tenant, job_id, budget_s=self._accept_s))

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        """List the newest attempts of a job that did not succeed, in order."""
        rows = await self._database.fetch("list_attempts", job_id, MOST_ATTEMPTS, budget_s=self._read_s)
        return [AttemptRecord._make(row) for row in rows]
