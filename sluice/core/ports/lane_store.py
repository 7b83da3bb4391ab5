"""The lanes that operators have paused, in the record."""

from __future__ import annotations

from typing import Protocol

from sluice.core.queue_stats import LanePause


class LaneStore(Protocol):
    """The lanes that are paused."""

    async def pause_lane(
        self, lane: str, reason: str, by: str, tenant: str | None = None, request_id: str | None = None
    ) -> LanePause:
        """Pause a lane, for whoever has this key; one that is paused has been so since then, and gets another reason. It is written down."""

    async def resume_lane(
        self, lane: str, by: str | None = None, tenant: str | None = None, request_id: str | None = None
    ) -> bool:
        """Resume a lane, which is written down; false if it was not paused."""

    async def list_pauses(self) -> dict[str, LanePause]:
        """List the lanes that are paused."""
