"""A real PostgreSQL with a record of any size, and what it has used."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
from yarl import URL

from infra.local.servers import Servers
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.pool import Database
from sluice.core.runtime.telemetry import Telemetry
from tests.support.leases import new_owner
from tests.support.servers import settings_for, sql_session

FILL = """
insert into jobs (id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, keep_s, queued_at,
                  created_at, started_at, finished_at, expires_at, input, result)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid,
       'tenant-' || number % 100, 'demo.sum', 'default', 'normal', 'succeeded', 3, 1, 1, 5, 604800, at,
       at, at, at, at + interval '7 days', '{"values":[1,2,3,4,5]}', '{"total":15}'
from (select number, now() - interval '6 days' + number * $3::float8 * interval '1 second' as at
      from generate_series($1::int, $2::int) as number) as numbers
"""
AT_ONCE = 100_000
SPREAD_S = 500_000
"""Seconds from the oldest to the newest of the finished jobs, however many there are."""


class Used(NamedTuple):
    """What PostgreSQL has used so far: seconds of processors, by all its processes, and bytes of WAL."""

    cpu_s: float
    wal: int

    def __sub__(self, other: tuple[float, int]) -> Used:
        return Used(self.cpu_s - other[0], self.wal - other[1])


class Sized:
    """The record under measurement."""

    def __init__(
        self,
        postmaster: int,
        database: Database,
        store: PostgresJobStore,
        sql: asyncpg.Connection[asyncpg.Record],
    ) -> None:
        self._postmaster, self.database, self.store, self.sql = postmaster, database, store, sql

    async def fill(self, finished: int) -> None:
        """Put so many finished jobs into the empty table."""
        for first in range(1, finished + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, finished)
            await self.sql.execute(FILL, first, last, SPREAD_S / finished, timeout=600)
            sys.stderr.write(f"\r{last:,} finished jobs")
        sys.stderr.write("\n")
        await self.sql.execute("vacuum analyze jobs", timeout=1_200)

    async def used(self) -> Used:
        """What PostgreSQL has used so far."""
        wal = await self.sql.fetchval("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        return Used(processor_s(self._postmaster), wal)


@asynccontextmanager
async def sized_record(servers: Servers, name: str) -> AsyncIterator[Sized]:
    """Open an empty record in a database of this name, all of them on one server."""
    url = URL(servers.postgres.url)
    async with sql_session(str(url.with_path("/postgres"))) as sql:
        await sql.execute(f"create database {name} template {url.name}")
    url = url.with_path(f"/{name}")
    sql = await asyncpg.connect(str(url))
    database = Database(str(url), "at-size", Telemetry(), size=4)
    store = PostgresJobStore(database, await new_owner(sql), settings_for(servers, accept_budget_s=30))
    yield Sized(postmaster(servers), database, store, sql)
    await database.close()
    await sql.close()


def processor_s(pid: int) -> float:
    """Seconds of processors that a process and its children have used so far."""
    return sum(_ticks(each) for each in _family(pid)) / os.sysconf("SC_CLK_TCK")


def postmaster(servers: Servers) -> int:
    """Return the id of the process from which all others of PostgreSQL come."""
    return int((servers.postgres.data / "postmaster.pid").read_text().split()[0])


def _family(pid: int) -> Iterator[int]:
    """Yield a process and its children, those included that have ended: their time is in the parent's."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))
