"""sluice.core.ports.LaneStore in memory."""

from __future__ import annotations

from sluice.core.access import Actor
from sluice.core.queue_stats import LanePause
from tests.support.fake_record import FakeRecord


class FakeLaneStore(FakeRecord):
    """A record in memory, as operators pause its lanes."""

    async def pause_lane(self, lane: str, reason: str, tenant: str, by: Actor) -> LanePause:
        """Since now, unless it is paused."""
        self.check()
        known = self.pauses.get(lane)
        self.pauses[lane] = LanePause(
            since=known.since if known else self.now, reason=reason, by=str(by.key_id)
        )
        return self.pauses[lane]

    async def resume_lane(self, lane: str, tenant: str, by: Actor) -> bool:
        """If it is paused."""
        self.check()
        return self.pauses.pop(lane, None) is not None

    async def list_pauses(self) -> dict[str, LanePause]:
        """As they are."""
        self.check()
        return dict(self.pauses)
