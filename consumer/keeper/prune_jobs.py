"""Delete finished jobs after their retention time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from consumer.keeper.sweep import ROWS_PER_TICK, Sweep
from sluice.core.errors import ServerAway
from sluice.core.ports import DocumentCache, PruneStore
from sluice.core.retention import Retention
from sluice.core.runtime.telemetry import Event, Telemetry

FIRST_ID = "00000000-0000-0000-0000-000000000000"
"""Lower than every id: where a walk begins."""


class PruneJobs:
    """Deletes finished jobs after their time, with their attempts and documents."""

    def __init__(
        self,
        store: PruneStore,
        cache: DocumentCache,
        telemetry: Telemetry,
        kept: Retention,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._cache, self._telemetry, self._kept = store, cache, telemetry, kept
        self._sweep, self._after = Sweep(kept.shortest_s, clock), FIRST_ID

    async def once(self) -> int:
        """Prune one tick's worth."""
        after = FIRST_ID if self._sweep.is_over() else self._after
        found = await self._store.prune_jobs(after, self._kept, ROWS_PER_TICK)
        if found is None:
            return 0
        self._after = found.last or after
        self._sweep.advance(found.looked_at)
        self._telemetry.emit(Event.PRUNED, len(found.gone))
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*found.gone)
        return len(found.gone)
