"""Delete idempotency keys after their retention time."""

from __future__ import annotations

from sluice.core.ports import PruneStore

KEYS_PER_TICK = 1_000


class PruneKeys:
    """Deletes keys after their time, once their jobs are gone."""

    def __init__(self, store: PruneStore, keep_s: float) -> None:
        self._store, self._keep_s = store, keep_s

    async def once(self) -> int:
        """Prune one tick's worth."""
        return await self._store.prune_idempotency_keys(self._keep_s, KEYS_PER_TICK)
