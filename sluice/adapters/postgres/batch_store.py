"""The record for batches. What it costs to read one grows with its items, so few are read at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import Store, Turns
from sluice.core.batch import Batch, BatchCounts, NewBatch
from sluice.core.job import IdempotencyKeyUse
from sluice.core.runtime.settings import Settings

READ_S = 2.0
"""Seconds to read a batch: rows of long ago may have to come from disk."""
COUNTS = len(BatchCounts._fields)


class PostgresBatchStore(Store):
    """Implements sluice.core.ports.BatchStore, where its methods are described."""

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings.accept_budget_s)
        self._turns = Turns()

    async def open_batch(self, new: NewBatch, planned: Sequence[str | None]) -> bool:
        values = (new.id, new.tenant, new.key, new.request_hash, list(planned), new.keep_s)
        return bool(await self.ask("open_batch", *values))

    async def find_batch_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        rows = await self.ask("find_batch_by_key", tenant, key)
        return IdempotencyKeyUse(rows[0][1], rows[0][0]) if rows else None

    async def close_batch(self, batch_id: str, jobs: Sequence[str | None]) -> None:
        await self.ask("close_batch", batch_id, list(jobs))

    async def count_batch(self, tenant: str, batch_id: str) -> Batch | None:
        for found_id, version, *rest in await self._read("count_batch", tenant, batch_id):
            return Batch(found_id, version, BatchCounts(*rest[:COUNTS]), *rest[COUNTS:])
        return None

    async def list_items(self, tenant: str, batch_id: str) -> list[str | None] | None:
        for (items,) in await self._read("list_items", tenant, batch_id):
            return list(items)
        return None

    async def list_unfinished(self, tenant: str, batch_id: str) -> list[str]:
        return [job_id for (job_id,) in await self._read("list_unfinished", tenant, batch_id)]

    async def _read(self, query: str, *args: Any) -> list[Any]:
        async with self._turns:
            return await self.ask(query, *args, budget_s=READ_S)
