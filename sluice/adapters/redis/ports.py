"""The ports that Redis implements, over the connections of one process."""

from __future__ import annotations

from typing import NamedTuple

from sluice.adapters.redis.connection import RedisConnection
from sluice.adapters.redis.document_cache import RedisDocumentCache
from sluice.adapters.redis.live_logs import RedisLiveLogs
from sluice.adapters.redis.rate_ledger import RedisRateLedger
from sluice.adapters.redis.statistics_board import RedisStatisticsBoard
from sluice.adapters.redis.subscriptions import SILENCE_S, RedisSubscriptions
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry


class RedisPorts(NamedTuple):
    """An adapter for each port, and the connection they share."""

    connection: RedisConnection
    cache: RedisDocumentCache
    subscriptions: RedisSubscriptions
    board: RedisStatisticsBoard
    live_logs: RedisLiveLogs
    rates: RedisRateLedger

    async def close(self) -> None:
        """Close every connection."""
        await self.connection.close()
        await self.subscriptions.close()


def redis_ports(
    settings: Settings,
    name: str,
    telemetry: Telemetry,
    identity: RecordIdentity,
    silence_s: float = SILENCE_S,
) -> RedisPorts:
    """Make the adapters of a process called `name`, for the copies of this record; they connect when they are first used."""
    url = settings.redis_url.get_secret_value()
    connection = RedisConnection(url, name, telemetry, settings.redis_budget_s, identity)
    subscriptions = RedisSubscriptions(url, name, connection, telemetry, silence_s)
    return RedisPorts(
        connection,
        RedisDocumentCache(connection, telemetry, settings.document_ttl_s),
        subscriptions,
        RedisStatisticsBoard(connection),
        RedisLiveLogs(connection, subscriptions, telemetry),
        RedisRateLedger(connection),
    )
