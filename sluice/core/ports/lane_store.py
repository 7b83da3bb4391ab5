"""The lanes that operators have paused, in the record."""

from __future__ import annotations

from typing import Protocol

from sluice.core.queue_stats import LanePause


class LaneStore(Protocol):
    """The lanes that are paused."""

    async def pause_lane(self, lane: str, reason: str, by: str) -> LanePause:
        """Pause a lane, for whoever has this key; one that is paused has been so since then, and gets another reason."""

    async def resume_lane(self, lane: str) -> bool:
        """Resume a lane; false if it was not paused."""

    async def list_pauses(self) -> dict[str, LanePause]:
        """List the lanes that are paused."""
