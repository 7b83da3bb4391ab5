"""How much of the record is whose, as it was added up."""

from __future__ import annotations

from sluice.adapters.postgres.store import Store

ADD_UP_S = 5.0
"""Seconds that adding up a part may take: nobody waits for it."""


class PostgresStorageStore(Store):
    """Implements sluice.core.ports.StorageStore, where its methods are described."""

    async def add_up(self, jobs: int, turn_s: float, walk_s: float) -> bool:
        rows = await self.ask("add_up", jobs, turn_s, walk_s)
        return any(ended for (ended,) in rows)

    async def list_large(self, size: int, limit: int) -> dict[str, int]:
        rows = await self.ask("list_large", size, limit)
        return {row["tenant"]: row["bytes"] for row in rows}
