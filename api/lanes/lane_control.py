"""See how lanes do, and pause or resume them: the record says which are paused, the statistics all else."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sluice.core.access import Actor
from sluice.core.count_lanes import CountLanes
from sluice.core.errors import LaneUnknown
from sluice.core.ports import DocumentCache, LaneStore
from sluice.core.queue_stats import LanePause, LaneStatistics
from sluice.core.runtime.telemetry import Event, Telemetry


class LaneState(NamedTuple):
    """A lane as it stands; without statistics while nobody has counted."""

    name: str
    statistics: LaneStatistics | None
    paused: LanePause | None


class LaneControl:
    """Acts on these lanes, which all tenants share. Each method raises ServerAway."""

    def __init__(
        self,
        lanes: Collection[str],
        store: LaneStore,
        cache: DocumentCache,
        counts: CountLanes,
        telemetry: Telemetry,
    ) -> None:
        self._lanes, self._store, self._cache = tuple(lanes), store, cache
        self._counts, self._telemetry = counts, telemetry

    async def list(self) -> list[LaneState]:
        """List every lane that is configured, and others that are paused."""
        paused = await self._store.list_pauses()
        names = dict.fromkeys([*self._lanes, *sorted(paused)])
        return [self._show(name, paused.get(name)) for name in names]

    async def pause(self, lane: str, reason: str, tenant: str, by: Actor) -> LaneState:
        """Let no job of a lane begin; one that is paused gets another reason. Raises LaneUnknown."""
        if lane not in self._lanes:
            raise LaneUnknown(lane)
        pause = await self._store.pause_lane(lane, reason, tenant, by)
        self._telemetry.emit(Event.LANE_PAUSED, lane=lane, reason=reason, key_id=by.key_id)
        await self._cache.announce_pauses()
        return self._show(lane, pause)

    async def resume(self, lane: str, tenant: str, by: Actor) -> LaneState:
        """Let jobs of a lane begin again; if it is not paused, this changes nothing. Raises LaneUnknown."""
        if lane not in self._lanes and lane not in await self._store.list_pauses():
            raise LaneUnknown(lane)
        if await self._store.resume_lane(lane, tenant, by):
            self._telemetry.emit(Event.LANE_RESUMED, lane=lane, key_id=by.key_id)
        await self._cache.announce_pauses()
        return self._show(lane, None)

    def _show(self, lane: str, paused: LanePause | None) -> LaneState:
        return LaneState(lane, self._counts.newest().get(lane), paused)
