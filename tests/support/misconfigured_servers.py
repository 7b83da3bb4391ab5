"""Servers with worse settings than they should have, for the length of a block."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis

from infra.local.process import send
from infra.local.servers import Servers
from tests.support.servers import sql_session
from tests.support.waiting import until_found


@asynccontextmanager
async def weakened(servers: Servers, **settings: str) -> AsyncIterator[None]:
    """Give PostgreSQL these settings, which it takes over at once, without a restart."""
    conf = servers.postgres.data / "postgresql.conf"
    before = conf.read_text()
    good = {name: await _shown(servers, name) for name in settings}
    try:
        conf.write_text(before + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        await _reload(servers, settings)
        yield
    finally:
        conf.write_text(before)
        await _reload(servers, good)


async def _reload(servers: Servers, wanted: dict[str, str]) -> None:
    send(signal.SIGHUP, servers.postgres.pids[:1])

    async def taken() -> bool:
        return {name: await _shown(servers, name) for name in wanted} == wanted

    await until_found(taken)


async def _shown(servers: Servers, name: str) -> str:
    async with sql_session(servers.postgres.url) as sql:
        return str(await sql.fetchval("select current_setting($1)", name))


@asynccontextmanager
async def by_default(servers: Servers, owner: str, setting: str, value: str) -> AsyncIterator[None]:
    """Let every new session of `owner` (`role sluice`, `database sluice`) begin with this value."""
    async with sql_session(servers.postgres.url) as sql:
        try:
            await sql.execute(f"alter {owner} set {setting} = {value}")
            yield
        finally:
            await sql.execute("set transaction_read_only = off; set default_transaction_read_only = off")
            await sql.execute(f"alter {owner} reset {setting}")


@asynccontextmanager
async def full_redis(servers: Servers) -> AsyncIterator[None]:
    """Let Redis refuse writes once it is full; a restart within the block ends that."""
    client = redis.Redis.from_url(servers.redis.url)
    try:
        await client.config_set("maxmemory-policy", "noeviction")
        yield
    finally:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.aclose()
