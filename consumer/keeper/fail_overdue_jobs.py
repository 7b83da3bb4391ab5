"""Fail waiting jobs as soon as their deadline has passed, not only when they would start."""

from __future__ import annotations

from consumer.failure_report import report_failed
from sluice.core.announcement import announce
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Telemetry

JOBS_PER_TICK = 500


class FailOverdueJobs:
    """Fails jobs that wait for a slot, for their time or for another attempt, by the clock of the database."""

    def __init__(self, store: KeeperStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry

    async def once(self) -> int:
        """Fail one tick's worth."""
        jobs = await self._store.fail_overdue(JOBS_PER_TICK)
        report_failed(self._telemetry, jobs)
        await announce(self._cache, self._telemetry, jobs)
        return len(jobs)
