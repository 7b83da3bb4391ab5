"""Rescue jobs of dead consumers: queue them again, or fail those that have proved to be the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from consumer.failure_report import report_failed
from sluice.core.announcement import announce
from sluice.core.errors import TryAgain
from sluice.core.job import Job, JobState
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

AT_ONCE = 5_000
"""Jobs that one statement rescues."""
EVENTS = {JobState.QUEUED: Event.RESCUED, JobState.CANCELLED: Event.CANCELLED}


class RescueJobs:
    """Takes jobs whose lease is over. `may_judge` tells whether this process has itself reached the record for long enough.

    After a failover all leases may be over, as nobody could renew: consumers that live get the time to say so.
    """

    def __init__(
        self, store: KeeperStore, cache: DocumentCache, telemetry: Telemetry, may_judge: Callable[[], bool]
    ) -> None:
        self._store, self._cache, self._telemetry, self._may_judge = store, cache, telemetry, may_judge

    async def once(self) -> int:
        """Rescue every job of every dead consumer; returns how many there were."""
        leases = await self._store.take_dead_leases() if self._may_judge() else []
        if not leases:
            return 0
        rescued = await self.rescue(await self.find(leases), leases)
        await self._store.drop_leases(leases)
        return rescued

    async def find(self, leases: Sequence[str], *, own: bool = False) -> Sequence[str]:
        """Find every job that runs under these leases, or under none that there is. Raises TryAgain while another looks.

        A process that looks for its `own` holds up others that do, and no rescue of the dead.
        """
        return await self._store.find_held_jobs(leases, own=own)

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> int:
        """Rescue those of these jobs that still run under these leases; returns how many that are.

        Raises TryAgain if these are not all: some are locked by somebody else, or have just ended.
        """
        rescued = 0
        for start in range(0, len(ids), AT_ONCE):
            jobs = await self._store.rescue(ids[start : start + AT_ONCE], leases)
            await self._report(jobs)
            rescued += len(jobs)
        if rescued < len(ids):
            raise TryAgain(f"{len(ids) - rescued} jobs are locked, or have just ended")
        return rescued

    async def _report(self, jobs: Sequence[Job]) -> None:
        states = Counter(job.state for job in jobs)
        for state, event in EVENTS.items():
            self._telemetry.emit(event, states[state])
        report_failed(self._telemetry, (job for job in jobs if job.state == JobState.FAILED))
        await announce(self._cache, self._telemetry, jobs)
