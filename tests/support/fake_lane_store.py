"""sluice.core.ports.LaneStore in memory."""

from __future__ import annotations

from sluice.core.queue_stats import LanePause
from tests.support.fake_record import FakeRecord


class FakeLaneStore(FakeRecord):
    """A record in memory, as operators pause its lanes."""

    async def pause_lane(
        self, lane: str, reason: str, by: str, tenant: str | None = None, request_id: str | None = None
    ) -> LanePause:
        """Since now, unless it is paused."""
        self.check()
        known = self.pauses.get(lane)
        self.pauses[lane] = LanePause(since=known.since if known else self.now, reason=reason, by=by)
        return self.pauses[lane]

    async def resume_lane(
        self, lane: str, by: str | None = None, tenant: str | None = None, request_id: str | None = None
    ) -> bool:
        """If it is paused."""
        self.check()
        return self.pauses.pop(lane, None) is not None

    async def list_pauses(self) -> dict[str, LanePause]:
        """As they are."""
        self.check()
        return dict(self.pauses)
