"""Servers that answer but refuse writes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import redis.asyncio as redis

from infra.local.postgres import Postgres
from infra.local.run_as import owner_of
from infra.local.servers import Servers
from tests.fault.chaos.fault_injector import ABSURD_LIMIT, USUAL_LIMIT
from tests.support.misconfigured_servers import weakened
from tests.support.servers import sql_session

LOG = 16 * 1024 * 1024
"""Bytes to which PostgreSQL's log file must still be able to grow."""

HALF_A_PAGE = 4096
"""How much a file may still grow: a page that is written in part looks to PostgreSQL like a full disk."""

FILL = """insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s,
                              cancel_requested_at, finished_at, expires_at)
    select gen_random_uuid(), 'f', 'k', 'default', 'normal', 'cancelled', decode(repeat(md5(i::text), $2), 'hex'),
           1, 3600, now(), now(), now() + interval '1 hour' from generate_series(1, $1) as i"""
LARGE, SMALL = (2_000, 110), (1, 0)
"""Rows per statement and their size; no job is smaller than the small one."""


@asynccontextmanager
async def full_disk(servers: Servers) -> AsyncIterator[None]:
    """Keep the table of jobs from growing during the block."""
    async with sql_session(servers.postgres.url) as sql:
        try:
            size = await _enlarge(sql)
            _limit(servers.postgres, str(size + HALF_A_PAGE))
            await _fill(sql)
            yield
        finally:
            _limit(servers.postgres, "unlimited")


@asynccontextmanager
async def read_only(servers: Servers) -> AsyncIterator[None]:
    """Make PostgreSQL read-only during the block, as after a switch-over: sessions stay open and may only read."""
    async with weakened(servers, default_transaction_read_only="on"):
        yield


@asynccontextmanager
async def no_writes(servers: Servers) -> AsyncIterator[None]:
    """Make Redis refuse writes during the block, as when its memory is full or a snapshot has failed."""
    client = redis.Redis.from_url(servers.redis.url)
    try:
        await client.config_set("min-replicas-to-write", 1)
        yield
    finally:
        await client.config_set("min-replicas-to-write", 0)
        await client.aclose()


@asynccontextmanager
async def disk_alarm(servers: Servers) -> AsyncIterator[None]:
    """Raise RabbitMQ's disk alarm during the block, so that it takes no messages."""
    control = servers.rabbitmq.control
    try:
        await asyncio.to_thread(control, "set_disk_free_limit", ABSURD_LIMIT)
        yield
    finally:
        await asyncio.to_thread(control, "set_disk_free_limit", USUAL_LIMIT)


async def _enlarge(connection: asyncpg.Connection) -> int:
    """Make the table larger than any file that has to grow; return its size. Vacuum first, so that dead rows leave no space for later."""
    await connection.execute("vacuum jobs")
    size = 0
    while size < LOG:
        await connection.execute(FILL, *LARGE)
        size = await connection.fetchval("select pg_relation_size('jobs')")
    return size


async def _fill(connection: asyncpg.Connection) -> None:
    """Leave no free space in any page."""
    with suppress(asyncpg.DiskFullError):
        while True:
            await connection.execute(FILL, *SMALL)


def _limit(postgres: Postgres, most: str) -> None:
    """Limit the file size of all sessions and of the process that forks them; the writers of the log and of existing pages stay unlimited."""
    owner = owner_of(postgres.data)
    for pid in [postgres.pids[0], *filter(_is_session, postgres.pids[1:])]:
        done = subprocess.run(
            ["prlimit", "--pid", str(pid), f"--fsize={most}:"],  # noqa: S607  prlimit is wherever the PATH has it
            check=False, capture_output=True, text=True, user=owner.user, group=owner.group,
            extra_groups=owner.extra_groups,
        )  # fmt: skip
        assert done.returncode == 0 or not _is_session(pid), done.stderr


def _is_session(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"postgres: sluice")
    except OSError:
        return False
