"""The newest statistics in Redis, for every process to read."""

from __future__ import annotations

from sluice.adapters.redis.connection import RedisConnection

STATISTICS_S = 60
"""Seconds after which statistics that nobody has renewed are of no use."""


class RedisStatisticsBoard:
    """Implements sluice.core.ports.StatisticsBoard."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection

    async def post_statistics(self, statistics: bytes) -> None:
        """Publish the newest statistics, for some seconds."""
        if self._redis.identified:
            await self._redis.run("SET", self._redis.key("statistics"), statistics, "EX", STATISTICS_S)

    async def read_statistics(self) -> bytes | None:
        """Read the newest statistics, if there are any."""
        if not self._redis.identified:
            return None
        found: bytes | None = await self._redis.run("GET", self._redis.key("statistics"))
        return found
