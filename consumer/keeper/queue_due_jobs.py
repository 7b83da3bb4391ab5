"""Queue scheduled jobs whose time has come."""

from __future__ import annotations

from sluice.core.announcement import announce
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Telemetry

JOBS_PER_TICK = 2_000


class QueueDueJobs:
    """Queues delayed jobs and retries, by the clock of the database."""

    def __init__(self, store: KeeperStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry

    async def once(self) -> int:
        """Queue one tick's worth."""
        queued = await self._store.queue_due(JOBS_PER_TICK)
        await announce(self._cache, self._telemetry, [], queued)
        return len(queued)
