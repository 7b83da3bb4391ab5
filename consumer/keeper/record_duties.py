"""Duties that are one statement of the record each, on so many rows at most: what is left waits for the next tick."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from consumer.failure_report import report_failed
from sluice.core.announcement import announce
from sluice.core.errors import ServerAway
from sluice.core.ports import DocumentCache, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

QUEUED = 2_000
FAILED = 500
PRUNED = 1_000
BATCHES = 200
PRUNED_AGAIN = 8
"""How often at one turn: more can be deleted than are accepted, or the record would grow for ever."""
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
        return await _again(self._prune_jobs)

    async def _prune_jobs(self, most: int) -> int:
        gone = await self._store.prune_jobs(most)
        self._telemetry.emit(Event.PRUNED, len(gone))
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*gone)
        return len(gone)

    async def prune_batches(self) -> int:
        """Delete batches after their retention time, once their jobs are gone."""
        return await _again(self._store.prune_batches, BATCHES)

    async def prune_keys(self, keep_s: float) -> int:
        """Delete idempotency keys after this time, once their jobs are gone."""
        return await _again(partial(self._store.prune_idempotency_keys, keep_s))

    async def prune_audit(self, keep_s: float) -> int:
        """Delete what was written down after this time."""
        return await _again(partial(self._store.prune_audit, keep_s), times=AUDIT_AGAIN)


async def _again(
    prune: Callable[[int], Awaitable[int]], most: int = PRUNED, times: int = PRUNED_AGAIN
) -> int:
    """Prune until fewer than so many are found at once, or so often."""
    total = 0
    for _ in range(times):
        total += (gone := await prune(most))
        if gone < most:
            break
    return total
