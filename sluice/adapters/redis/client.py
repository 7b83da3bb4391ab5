"""The driver's client for an address: of one Redis, or of the master that Sentinels name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from sluice.core.addresses import split_address, split_hosts

BY_SENTINELS = "+sentinel"
"""What the scheme of such an address ends in: redis+sentinel://:password@a:26379,b:26379/mymaster/0."""
CONNECTIONS = 64
SENTINEL_PORT = 26_379
SENTINEL_S = 0.05
"""Seconds until the next Sentinel is asked: half of what a request waits for Redis by default."""


Read = Callable[[Any, Callable[[], None]], Any]
"""Makes something of a reply. It calls its second argument if that cannot be the reply to this command."""


class Client(redis.Redis):
    """A client that can judge a reply while it has the connection, and drop one whose replies are out of step."""

    async def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the reply, or what the option `read` makes of it. A doubted connection is closed before anybody else gets it."""
        read: Read | None = options.pop("read", None)
        reply = await super().parse_response(connection, command_name, **options)
        return reply if read is None else read(reply, connection.mark_for_reconnect)


def open_client(url: str, name: str, budget_s: float) -> redis.Redis:
    """Make a client that never retries: redis-py does so for seconds by default, and a call must not outlast its budget."""
    options: dict[str, Any] = {
        "client_name": name,
        "socket_timeout": budget_s,
        "socket_connect_timeout": budget_s,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": CONNECTIONS,
        "protocol": 2,
    }
    if split_address(url).scheme.endswith(BY_SENTINELS):
        return _open_master(url, options)
    return Client.from_url(url, **options)


async def close_client(client: redis.Redis) -> None:
    """Close every connection, to Sentinels as well."""
    await client.aclose()
    if isinstance(client.connection_pool, SentinelConnectionPool):
        for each in client.connection_pool.sentinel_manager.sentinels:
            await each.aclose()


def _open_master(url: str, options: dict[str, Any]) -> redis.Redis:
    hosts = [parse_url(each.replace(BY_SENTINELS, "", 1)) for each in split_hosts(url)]
    service, _, database = split_address(url).path.strip("/").partition("/")
    quick = {"socket_timeout": SENTINEL_S, "socket_connect_timeout": SENTINEL_S}
    sentinels: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        [(each["host"], each.get("port", SENTINEL_PORT)) for each in hosts], sentinel_kwargs=options | quick
    )
    account = {key: value for key, value in hosts[0].items() if key in ("username", "password")}
    tls = split_address(url).scheme.startswith("rediss")
    master: redis.Redis = sentinels.master_for(
        service, Client, db=int(database or 0), ssl=tls, **options, **account
    )
    return master
