"""The record for pruning: one method per statement."""

from __future__ import annotations

from sluice.adapters.postgres.locks import Lock
from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.core.ports import IdempotencyKeyCursor, Pruned, PrunedKeys
from sluice.core.retention import Retention


class PostgresPruneStore:
    """Implements sluice.core.ports.PruneStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune_jobs(self, after: str, kept: Retention, limit: int) -> Pruned | None:
        """Look at so many jobs after the id `after`, and delete those kept for long enough."""
        rows = await self._database.fetch(
            "prune_jobs", Lock.PRUNE_JOBS, after, list(kept.by_kind), list(kept.by_kind.values()), kept.otherwise_s,
            kept.shortest_s, limit, budget_s=WRITE_S,
        )  # fmt: skip
        return Pruned(tuple(rows[0]["gone"]), rows[0]["looked_at"], rows[0]["last"]) if rows else None

    async def prune_idempotency_keys(
        self, after: IdempotencyKeyCursor, keep_s: float, limit: int
    ) -> PrunedKeys | None:
        """Look at so many keys after `after`, and delete those whose jobs are gone."""
        rows = await self._database.fetch(
            "prune_idempotency_keys", Lock.PRUNE_KEYS, *after, keep_s, limit, budget_s=WRITE_S
        )
        if not rows:
            return None
        gone, looked_at, *last = rows[0]
        return PrunedKeys(gone, looked_at, IdempotencyKeyCursor(*last) if looked_at else None)

    async def prune_consumers(self, silent_s: float) -> int:
        """Delete the rows of consumers that have not been seen for so many seconds."""
        return len(await self._database.fetch("prune_consumers", silent_s, budget_s=WRITE_S))
