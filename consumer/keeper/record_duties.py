"""Duties that are one statement of the record each, on so many rows at most: what is left waits for the next tick."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from consumer.failure_report import report_failed
from consumer.keeper.prune_again import prune_again
from sluice.core.announcement import announce
from sluice.core.errors import ServerAway
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

QUEUED = 2_000
FAILED = 500
BATCHES = 200
AUDIT_AGAIN = 1_000
"""The same for what was written down, whose turn comes seldom."""


class RecordDuties:
    """Each duty goes by the clock of the database, and returns how many rows there were."""

    def __init__(self, store: KeeperStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry

    async def queue_due(self) -> int:
        """Queue scheduled jobs whose time has come: delayed jobs and retries."""
        queued = await self._store.queue_due(QUEUED)
        await announce(self._cache, self._telemetry, [], queued)
        return len(queued)

    async def fail_overdue(self) -> int:
        """Fail jobs that wait as soon as their deadline has passed, not only when they would start."""
        jobs = await self._store.fail_overdue(FAILED)
        report_failed(self._telemetry, jobs)
        await announce(self._cache, self._telemetry, jobs)
        return len(jobs)

    async def prune_jobs(self) -> int:
        """Delete finished jobs after their retention time, with their inputs, attempts and documents."""
        return await prune_again(self._prune_jobs)

    async def _prune_jobs(self, most: int) -> int:
        gone = await self._store.prune_jobs(most)
        self._telemetry.emit(Event.PRUNED, len(gone))
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*gone)
        return len(gone)

    async def prune_batches(self) -> int:
        """Delete batches after their retention time, once their jobs are gone."""
        return await prune_again(self._store.prune_batches, BATCHES)

    async def prune_keys(self, keep_s: float) -> int:
        """Delete idempotency keys after this time, once their jobs are gone."""
        return await prune_again(partial(self._store.prune_idempotency_keys, keep_s))

    async def prune_audit(self, keep_s: float) -> int:
        """Delete what was written down after this time."""
        return await prune_again(partial(self._store.prune_audit, keep_s), times=AUDIT_AGAIN)
