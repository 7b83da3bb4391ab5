"""Know what waits in each lane, also where no consumer runs: whoever scales consumers from zero asks an api."""

from __future__ import annotations

from contextlib import suppress

from sluice.core.count_lanes import CountLanes
from sluice.core.errors import TRANSIENT
from sluice.core.ports import KeeperStore
from sluice.core.runtime.tasks import repeat

FOLLOW_S = 2.0
POSTED_S = 5.0
"""Seconds beyond its rest for which an api's count is used by others: then the next of them counts, or a keeper, if there is one by now."""

DUTY, REST_S = "count", 0.5
"""The duty of keepers of which the apis take turns, and the seconds from one turn to the next while jobs wait."""


class Backlog:
    """Follows what keepers post; while none does, one api at a time counts."""

    def __init__(self, keeper: KeeperStore, counts: CountLanes, idempotency_keep_s: float) -> None:
        self._keeper, self.counts, self._idempotency_keep_s = keeper, counts, idempotency_keep_s

    async def follow(self) -> None:
        """Look again and again, for ever."""
        await repeat(self.once, FOLLOW_S)

    async def once(self) -> None:
        """Read what others have counted, or count where nobody has."""
        if await self.counts.read_board():
            return
        with suppress(*TRANSIENT):
            found = await self._keeper.look({DUTY: REST_S}, self._idempotency_keep_s)
            if found.duties:
                await self.counts.once()
