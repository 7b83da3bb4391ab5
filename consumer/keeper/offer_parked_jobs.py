"""Offer jobs whose kind nobody served, once a consumer does."""

from __future__ import annotations

from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

JOBS_PER_TICK = 2_000


class OfferParkedJobs:
    """Offers jobs of kinds that are served now; they were parked by the consumers that could not run them."""

    def __init__(self, store: KeeperStore, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry

    async def once(self) -> int:
        """Offer one tick's worth."""
        found = await self._store.offer_parked(JOBS_PER_TICK)
        self._telemetry.emit(Event.REDISPATCHED, found, reason="parked")
        return found
