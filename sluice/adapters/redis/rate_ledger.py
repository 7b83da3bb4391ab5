"""What each key has taken of its quotas, in Redis: one number a key, which goes by itself once the quota is whole again."""

from __future__ import annotations

from sluice.adapters.redis.connection import SERVER, RedisConnection
from sluice.adapters.redis.script import Script
from sluice.core.errors import ServerAway
from sluice.core.rate_limit import Lease, Quota


class RedisRateLedger:
    """Implements sluice.core.ports.RateLedger."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._lease = Script(connection, "lease")

    async def lease(self, name: str, key_id: str, quota: Quota, need: int, want: int, owed: int = 0) -> Lease:
        """Take units, with one script. Raises ServerAway."""
        self._redis.check_identified()
        key = self._redis.key(f"rate:{name}:{{{key_id}}}")
        answer = await self._lease.run(1, key, quota.interval_us, quota.units, need, want, owed)
        try:
            units, left, wait_us = map(int, answer)
        except (TypeError, ValueError):
            raise ServerAway(SERVER, "the answer to a lease is none") from None
        return Lease(units, left, wait_us)
