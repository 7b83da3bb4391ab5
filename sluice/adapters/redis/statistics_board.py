"""The newest statistics in Redis, for every process to read."""

from __future__ import annotations

from sluice.adapters.redis.connection import RedisConnection


class RedisStatisticsBoard:
    """Implements sluice.core.ports.StatisticsBoard."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection

    async def post_statistics(self, statistics: bytes, for_s: float) -> None:
        """Publish the newest statistics, for so many seconds."""
        if self._redis.identified:
            await self._redis.run("SET", self._redis.key("statistics"), statistics, "PX", round(for_s * 1000))

    async def read_statistics(self) -> bytes | None:
        """Read the newest statistics, if there are any."""
        if not self._redis.identified:
            return None
        found: bytes | None = await self._redis.run("GET", self._redis.key("statistics"))
        return found
