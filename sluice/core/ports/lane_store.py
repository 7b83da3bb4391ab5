"""The lanes that operators have paused, in the record."""

from __future__ import annotations

from typing import Protocol

from sluice.core.access import Actor
from sluice.core.queue_stats import LanePause


class LaneStore(Protocol):
    """The lanes that are paused."""

    async def pause_lane(self, lane: str, reason: str, tenant: str, by: Actor) -> LanePause:
        """Pause a lane, and write down which key of which tenant did it; one that is paused has been so since then, and gets another reason."""

    async def resume_lane(self, lane: str, tenant: str, by: Actor) -> bool:
        """Resume a lane, and write down who did it; false if it was not paused."""

    async def list_pauses(self) -> dict[str, LanePause]:
        """List the lanes that are paused."""
