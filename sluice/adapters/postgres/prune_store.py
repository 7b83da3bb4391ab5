"""The record for pruning: one method per statement."""

from __future__ import annotations

from sluice.adapters.postgres.pool import WRITE_S, Database


class PostgresPruneStore:
    """Implements sluice.core.ports.PruneStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune_jobs(self, limit: int) -> list[str]:
        """Delete jobs that were kept for long enough, at most so many; returns their ids."""
        rows = await self._database.fetch("prune_jobs", limit, budget_s=WRITE_S)
        return [job_id for (job_id,) in rows]

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        """Delete keys that are older than this and whose jobs are gone, at most so many; returns how many."""
        return len(await self._database.fetch("prune_idempotency_keys", keep_s, limit, budget_s=WRITE_S))
