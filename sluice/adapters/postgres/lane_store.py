"""The lanes that are paused, in the record."""

from __future__ import annotations

from sluice.adapters.postgres.store import Store
from sluice.core.access import Actor
from sluice.core.queue_stats import LanePause


class PostgresLaneStore(Store):
    """Implements sluice.core.ports.LaneStore, where its methods are described."""

    async def pause_lane(self, lane: str, reason: str, tenant: str, by: Actor) -> LanePause:
        rows = await self.ask("pause_lane", lane, reason, tenant, *by)
        return LanePause(**dict(rows[0]))

    async def resume_lane(self, lane: str, tenant: str, by: Actor) -> bool:
        return bool(await self.ask("resume_lane", lane, tenant, *by))

    async def list_pauses(self) -> dict[str, LanePause]:
        rows = [dict(row) for row in await self.ask("list_pauses")]
        return {row.pop("name"): LanePause(**row) for row in rows}
