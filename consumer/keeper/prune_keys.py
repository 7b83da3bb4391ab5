"""Delete idempotency keys after their retention time, and rows of consumers that are gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from consumer.keeper.sweep import ROWS_PER_TICK, Sweep
from sluice.core.ports import IdempotencyKeyCursor, PruneStore

SILENT_S = 86_400.0
"""Seconds after which the row of a silent consumer is of no use to anybody."""

FIRST_KEY = IdempotencyKeyCursor(datetime(1970, 1, 1, tzinfo=UTC), "", "")
"""Before every key: where a walk begins."""


class PruneKeysAndConsumers:
    """Deletes keys after their time, once their jobs are gone, and what dead consumers have left."""

    def __init__(
        self,
        store: PruneStore,
        keep_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._keep_s = store, keep_s
        self._sweep, self._after = Sweep(keep_s, clock), FIRST_KEY

    async def once(self) -> int:
        """Prune one tick's worth."""
        after = FIRST_KEY if self._sweep.is_over() else self._after
        found = await self._store.prune_idempotency_keys(after, self._keep_s, ROWS_PER_TICK)
        if found is None:
            return 0
        self._after = found.last or after
        self._sweep.advance(found.looked_at)
        return found.gone + await self._store.prune_consumers(SILENT_S)
