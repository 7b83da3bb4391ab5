"""The real servers behind the tests: started once per run on ports of their own, emptied before each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aio_pika
import asyncpg
import redis.asyncio as redis
from yarl import URL

from infra.local.run_as import temporary_directory
from infra.local.servers import Server, Servers, missing
from sluice.adapters.postgres.migrate import migrate
from sluice.core.lanes import DEAD_QUEUE, PRIORITIES, queue_name
from sluice.core.runtime.settings import Settings

QUEUES = [DEAD_QUEUE, *(queue_name(lane, each) for lane in ("default", "heavy") for each in PRIORITIES)]


@contextmanager
def running_servers(make: Callable[[Path], Servers] = Servers) -> Iterator[Servers]:
    """Run PostgreSQL (migrated), Redis and, where it is installed, RabbitMQ in a directory of their own."""
    directory = temporary_directory("sluice-test-")
    servers = make(directory)
    lacking = missing()
    try:
        servers.up(*(server for server in servers if server.program not in lacking))
        asyncio.run(migrate(servers.postgres.url))
        yield servers
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


def urls(servers: Servers) -> dict[str, str]:
    """Return the settings that lead to these servers."""
    found = {f"SLUICE_{name.upper()}_URL": url for name, url in servers.urls.items()}
    return found | {"SLUICE_KEY_PEPPER": "a pepper for tests only"}


def proxied_urls(servers: Servers, ports: Mapping[str, int]) -> dict[str, object]:
    """Return the settings that lead to these servers by the ports of their proxies; `ports` has one for each server."""
    real = urls(servers)
    return {
        f"{name}_url": str(URL(real[f"SLUICE_{name.upper()}_URL"]).with_port(port))
        for name, port in ports.items()
    }


def settings_for(servers: Servers, **more: object) -> Settings:
    """Make settings for these servers, with quick leases and duties; nothing is read from the environment or a file."""
    values = {name.removeprefix("SLUICE_").lower(): value for name, value in urls(servers).items()}
    return Settings(**(values | QUICK | more))


QUICK: dict[str, object] = {
    "lease_s": 2,
    "beat_s": 0.4,
    "grace_s": 1,
    "keeper_s": 0.2,
    "dispatch_due_s": 1,
    "stop_s": 2,
    "lame_duck_s": 0.2,
    "record_budget_s": 1,
    "accept_budget_s": 2,
    "redis_budget_s": 0.5,
    "shed_after_s": 60,
}
"""Settings that make faults heal in seconds."""


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Freeze the server for the block: it answers nobody, and its connections stay open."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@asynccontextmanager
async def sql_session(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Open a session on this database, and close it after the block."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def empty(servers: Servers) -> None:
    """Empty every table, Redis and every queue, if there is a RabbitMQ."""
    await asyncio.gather(empty_postgres(servers), _empty_redis(servers))
    if servers.rabbitmq.alive:
        await empty_rabbitmq(servers)


KEPT = ("alembic_version", "duties", "stored_walk")
"""Tables whose rows the migration makes."""


async def empty_postgres(servers: Servers) -> None:
    """Delete all rows in one transaction: truncating makes new files for every table and index, which takes longer."""
    async with sql_session(servers.postgres.url) as connection:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        names = [row[0] for row in tables if row[0] not in KEPT]
        await connection.execute("".join(f"delete from {name};" for name in names))  # noqa: S608  names of ours
        await connection.execute("update duties set done_at = default")
        await connection.execute("delete from stored_walk; insert into stored_walk default values")


async def _empty_redis(servers: Servers) -> None:
    client = redis.Redis.from_url(servers.redis.url)
    await client.flushall()
    await client.aclose()


async def empty_rabbitmq(servers: Servers) -> None:
    """Delete queues that hold messages or have consumers; others stay, as making one again takes long."""
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        for name in QUEUES:
            channel = await connection.channel()
            try:
                found = await channel.declare_queue(name, passive=True)
                if found.declaration_result.message_count or found.declaration_result.consumer_count:
                    await found.delete(if_unused=False, if_empty=False)
                await channel.close()
            except aio_pika.exceptions.ChannelNotFoundEntity:
                pass  # it does not exist, and asking has closed the channel
