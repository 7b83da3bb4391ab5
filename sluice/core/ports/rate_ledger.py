"""What each key has taken of its quotas, in one place for all processes. Losing all of it gives every key its whole quota back."""

from __future__ import annotations

from typing import Protocol

from sluice.core.rate_limit import Lease, Quota


class RateLedger(Protocol):
    """Units of quotas, by name and key."""

    async def lease(self, name: str, key_id: str, quota: Quota, need: int, want: int, owed: int = 0) -> Lease:
        """Take units as `sluice.core.rate_limit.take` does, by the clock of the server. Raises ServerAway."""
