"""Rescue jobs of dead consumers: queue them again, or fail those that have proved to be the cause."""

from __future__ import annotations

from collections import Counter

from consumer.failure_report import report_failed
from sluice.core.announcement import announce
from sluice.core.job import JobState
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

JOBS_PER_TICK = 500
EVENTS = {JobState.QUEUED: Event.RESCUED, JobState.CANCELLED: Event.CANCELLED}


class RescueJobs:
    """Takes jobs whose lease ran out; not until one lease after PostgreSQL came back."""

    def __init__(self, store: KeeperStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry

    async def once(self) -> int:
        """Rescue one tick's worth."""
        jobs = await self._store.rescue(JOBS_PER_TICK)
        states = Counter(job.state for job in jobs)
        for state, event in EVENTS.items():
            self._telemetry.emit(event, states[state])
        report_failed(self._telemetry, (job for job in jobs if job.state == JobState.FAILED))
        await announce(self._cache, self._telemetry, jobs)
        return len(jobs)
