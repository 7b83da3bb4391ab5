"""`python -m tests.size.fleet`: what consumers that have nothing to do ask of PostgreSQL, one and many of them."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

import asyncpg

from infra.local.postgres import Postgres
from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from sluice.adapters.postgres.migrate import migrate
from sluice.adapters.postgres.statements import load_queries
from sluice.core.runtime.settings import Settings
from tests.support.servers import QUICK, sql_session
from tests.support.stack import Stack

SETTLE_S = 20.0
"""Seconds from when the last consumer is ready until it counts: leases, connections and the first look are behind it."""
AT_ONCE = 4
"""Consumers that start side by side."""
LARGE = 50
"""The fleet for which the slope between the two largest measured ones is drawn out."""
COLUMNS = ("consumers", "statements/s", "transactions/s", "flushes/s", "connections", "load")
LINE = "| {:>9} | {:>12} | {:>14} | {:>9} | {:>11} | {:>9} |\n"
_AS_SUPERUSER = """\
create extension pg_stat_statements
grant pg_read_all_stats to sluice
"""
_COUNTING = "shared_preload_libraries = 'pg_stat_statements'\nmax_connections = 400\n"
_COUNTED = """
select query, calls from pg_stat_statements join pg_database on dbid = pg_database.oid
where datname = current_database() and query not like '%pg_stat_statements%'"""
_SERVER = """
select xact_commit + xact_rollback as transactions, wal_sync as flushes, numbackends as connections
from pg_stat_database, pg_stat_wal where datname = current_database()"""

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class CountingPostgres(Postgres):
    """A server that counts statements, for more sessions than a laptop needs."""

    def _initialise(self) -> None:
        super()._initialise()
        self.run("postgres", "--single", "sluice", stdin=_AS_SUPERUSER)

    def _configure(self) -> None:
        super()._configure()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(_COUNTING)


class Seen(NamedTuple):
    """What the server has counted so far, or what it counted a second: calls by statement, and the rest."""

    calls: Mapping[str, float]
    transactions: float
    flushes: float
    connections: int

    @property
    def statements(self) -> float:
        """All of them."""
        return sum(self.calls.values())

    def per_s(self, earlier: Seen, seconds: float) -> Seen:
        """Return what was counted a second since an earlier look."""
        calls = {text: (count - earlier.calls.get(text, 0)) / seconds for text, count in self.calls.items()}
        transactions = (self.transactions - earlier.transactions) / seconds
        return Seen(calls, transactions, (self.flushes - earlier.flushes) / seconds, self.connections)


@contextmanager
def counting_servers() -> Iterator[tuple[Servers, Path]]:
    """Run servers with an empty record, and a directory for logs."""
    directory = temporary_directory("sluice-fleet-")
    servers = Servers(directory)
    servers.postgres = CountingPostgres(directory / "postgres")
    try:
        servers.up()
        asyncio.run(migrate(servers.postgres.url))
        yield servers, directory
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


async def main(servers: Servers, directory: Path, sizes: list[int], seconds: float) -> None:
    """Measure fleets of these sizes, and print a table."""
    usual = {name: Settings.model_fields[name].default for name in QUICK} | {"verify_s": 3_600}
    found: dict[int, Seen] = {}
    sys.stdout.write(LINE.format(*COLUMNS))
    with Stack(servers, directory, **usual) as stack:
        async with sql_session(servers.postgres.url) as sql:
            for size in [0, *sizes]:
                await grow(stack, size)
                found[size] = await rates(sql, seconds)
                sys.stdout.write(row(size, found[size]))
    sys.stdout.write(drawn_out(found))
    sys.stdout.write("".join(by_statement(found[sizes[-1]])))


async def grow(stack: Stack, size: int) -> None:
    """Start consumers until there are so many, and let the fleet settle."""
    while missing := size - len(stack.consumers):
        new = [stack.add_consumer() for _ in range(min(missing, AT_ONCE))]
        await asyncio.gather(*(each.ready() for each in new))
    await asyncio.sleep(SETTLE_S)


async def rates(sql: Sql, seconds: float) -> Seen:
    """Count for so long."""
    before, began = await look(sql), time.monotonic()
    await asyncio.sleep(seconds)
    return (await look(sql)).per_s(before, time.monotonic() - began)


async def look(sql: Sql) -> Seen:
    """Read what the server has counted."""
    calls: dict[str, float] = {}
    for text, count in await sql.fetch(_COUNTED):
        calls[text] = calls.get(text, 0) + count
    (server,) = await sql.fetch(_SERVER)
    return Seen(calls, *server)


def row(size: int, seen: Seen) -> str:
    """Format one line of the table."""
    rates = (f"{rate:.2f}" for rate in (seen.statements, seen.transactions, seen.flushes))
    return LINE.format(size, *rates, seen.connections, f"{os.getloadavg()[0]:.1f}")


def drawn_out(found: Mapping[int, Seen]) -> str:
    """Say what the two largest fleets tell of one of 50."""
    (less, some), (more, many) = list(found.items())[-2:]
    slope = (many.statements - some.statements) / (more - less)
    large = many.statements + slope * (LARGE - more)
    return (
        f"{slope:.3f} statements/s more for each consumer; {large:.1f}/s for {LARGE}, of which at most 20 are wanted.\n"
        "Not among them: the verification, some 20 statements of the fleet every SLUICE_VERIFY_S.\n"
    )


def by_statement(seen: Seen) -> Iterator[str]:
    """Say which statements the fleet sends, the most frequent first."""
    names = {text.split("\n", 1)[0]: name for name, text in load_queries().items()}
    for text, rate in sorted(seen.calls.items(), key=itemgetter(1), reverse=True):
        if rate:
            head = text.split("\n", 1)[0]
            yield f"{rate:8.3f}/s  {names.get(head, head[:80])}\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make at-rest ARGS=…", description=__doc__)
    parser.add_argument(
        "--consumers", type=int, nargs="+", default=[1, 10, 20], help="sizes of the fleet (1 10 20)"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="seconds that each is counted (%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    asked = _options()
    with counting_servers() as own:
        asyncio.run(main(*own, asked.consumers, asked.seconds))
