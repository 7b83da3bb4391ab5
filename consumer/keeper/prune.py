"""Prune: what was kept for long enough is forgotten, a little at every tick."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from sluice.core.errors import ServerAway
from sluice.core.ports import DocumentCache, IdempotencyKeyCursor, PruneStore
from sluice.core.retention import Retention
from sluice.core.runtime.telemetry import Event, Telemetry

ROWS_PER_TICK = 1_000

AGAIN_S, AGAIN_PART = 300.0, 0.1
"""A sweep begins anew after this, or after this part of the time for which things are kept: what was passed by because
it had not finished, or had finished later than it was made, goes by so much later than it could."""

SILENT_S = 86_400.0
"""Seconds after which the note of a consumer is of no use to anybody."""

FIRST_ID = "00000000-0000-0000-0000-000000000000"
FIRST_KEY = IdempotencyKeyCursor(datetime(1970, 1, 1, tzinfo=UTC), "", "")


class Sweep:
    """When a walk along an index begins anew: once it has come to the end, and some time after it has begun.

    Until then every tick goes on where the last one ended, so that what has to stay is not looked at again and again.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float]) -> None:
        self._again_s, self._clock = min(AGAIN_S, keep_s * AGAIN_PART), clock
        self._began = clock()
        self._at_end = False

    def is_over(self) -> bool:
        """True where the next tick has to begin at the beginning; asked once before each."""
        if not self._at_end or self._clock() < self._began + self._again_s:
            return False
        self._began, self._at_end = self._clock(), False
        return True

    def note(self, looked_at: int) -> None:
        """So many rows were there to look at."""
        self._at_end = looked_at < ROWS_PER_TICK


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
        self._sweep.note(found.looked_at)
        self._telemetry.emit(Event.PRUNED, len(found.gone))
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*found.gone)
        return len(found.gone)


class PruneNotes:
    """Deletes idempotency keys after their time, once their jobs are gone, and what dead consumers have left."""

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
        self._sweep.note(found.looked_at)
        return found.gone + await self._store.prune_consumers(SILENT_S)
