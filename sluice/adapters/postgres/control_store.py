"""The record for changes to a job after its submit: one method per statement."""

from __future__ import annotations

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import COPIED_AT_ONCE, Store, messages_of
from sluice.core.access import OPERATOR, Actor
from sluice.core.job import Job, Message
from sluice.core.job_log import LogBlock
from sluice.core.ports import AttemptRecord
from sluice.core.runtime.settings import Settings

MOST_ATTEMPTS = 200
"""Attempts that are listed of a job, with tracebacks of up to 20 KB each."""


class PostgresControlStore(Store):
    """Implements sluice.core.ports.ControlStore, where its methods are described."""

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings.accept_budget_s)
        self._due_s, self._read_s = settings.dispatch_due_s, settings.record_budget_s

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        return next(iter(await self.ask_jobs("cancel", tenant, [job_id])), None)

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        rows = await self.ask("retry", tenant, [job_id], [new_id], self._due_s, COPIED_AT_ONCE)
        return list(messages_of(rows))

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        jobs = await self.ask_jobs("find_retry", tenant, job_id, budget_s=self._read_s)
        return next(iter(jobs), None)

    async def find_input(self, tenant: str, job_id: str) -> bytes | None:
        rows = await self.ask("find_input", tenant, job_id, budget_s=self._read_s)
        return rows[0][0] if rows else None

    async def delete_job(self, tenant: str, job_id: str, by: Actor = OPERATOR) -> bool:
        while rows := await self.ask("delete_job", tenant, job_id, *by):
            if rows[0][0]:
                return True
        return False

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        rows = await self.ask("list_attempts", job_id, MOST_ATTEMPTS, budget_s=self._read_s)
        return [AttemptRecord._make(row) for row in rows]

    async def read_logs(self, job_id: str, first_fence: int, most: int) -> list[LogBlock]:
        rows = await self.ask("read_logs", job_id, first_fence, most, budget_s=self._read_s)
        return [LogBlock._make(row) for row in rows]
