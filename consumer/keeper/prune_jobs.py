"""Delete finished jobs after their retention time."""

from __future__ import annotations

from contextlib import suppress

from sluice.core.errors import ServerAway
from sluice.core.ports import DocumentCache, PruneStore
from sluice.core.runtime.telemetry import Event, Telemetry

JOBS_PER_TICK = 1_000


class PruneJobs:
    """Deletes finished jobs after their time, with their inputs, attempts and documents."""

    def __init__(self, store: PruneStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry

    async def once(self) -> int:
        """Prune one tick's worth."""
        gone = await self._store.prune_jobs(JOBS_PER_TICK)
        self._telemetry.emit(Event.PRUNED, len(gone))
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*gone)
        return len(gone)
