"""sluice.core.ports.RateLedger in memory."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from sluice.core.errors import ServerAway
from sluice.core.rate_limit import SECOND_US, Lease, Quota, take


class FakeRateLedger:
    """Quotas by key; `away` makes every call fail as if Redis were gone. `asked` has what was needed and wanted each time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.times: dict[tuple[str, str], int] = {}
        self.asked: list[tuple[int, int]] = []
        self.away = False
        self._clock = clock

    async def lease(self, name: str, key_id: str, quota: Quota, need: int, want: int, owed: int = 0) -> Lease:
        """Take units."""
        if self.away:
            raise ServerAway("redis")
        self.asked.append((need, want))
        now_us = round(self._clock() * SECOND_US)
        tat_us, lease = take(quota, self.times.get((name, key_id), 0), now_us, need, want, owed)
        self.times[name, key_id] = tat_us
        return lease
