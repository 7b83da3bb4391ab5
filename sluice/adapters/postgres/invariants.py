"""What must be true of the record at any moment, asked of a live one: a file of SQL per invariant, read-only, bounded.

Each statement selects a line per offender. Work in flight is no offence: what takes time is given more of it than it
needs, and everything else is looked at in one snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from sluice.adapters.postgres.pool import connect, load_queries, translated
from sluice.core.errors import ServerUnfit
from sluice.core.lifecycle import LOST_LIMIT, SOLO_CRASH_LIMIT
from sluice.core.ports import Finding
from sluice.core.runtime.settings import Settings

CHECKS = Path(__file__).parent / "queries" / "verify"
SESSION = {
    "default_transaction_read_only": "on",
    "enable_seqscan": "on",  # a check may well read a whole table
    "plan_cache_mode": "auto",
}
COUNTED = "with offenders(it) as materialized ({}) select count(*), array(select it from offenders limit 5) from offenders"
"""Around every check: how many offenders, and some of them."""

LOCK = 7_519_020
"""Advisory lock that lets one keeper look at a time."""

KEEPER_S = 5.0
"""Seconds for one check while a keeper looks."""


class Check(NamedTuple):
    """One invariant: what an offender is, what an operator should do, and the statement that finds them."""

    name: str
    means: str
    do: str
    sql: str


def load_checks() -> dict[str, Check]:
    """Every check by the name of its file, whose first lines say what it means and what to do."""
    return {path.stem: _parsed(path.stem, path.read_text()) for path in sorted(CHECKS.glob("*.sql"))}


def _parsed(name: str, text: str) -> Check:
    lines = text.splitlines()
    head = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    means, _, do = " ".join(head).partition(" Do: ")
    return Check(name, means, do, "\n".join(lines[len(head) :]))


class Invariants:
    """Implements sluice.core.ports.Verifier, over a connection of its own for each look."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url, self.checks = url, load_checks()
        self._turn = load_queries()["verify_turn"]
        self._patience_s = settings.lease_s + 5 * settings.keeper_s + 5

    async def verify(self, newest: int) -> list[Finding] | None:
        """What every check finds, or None while another keeper looks."""
        async with self._session(KEEPER_S) as connection:
            try:
                await connection.execute("begin")
                mine = await connection.fetchval(self._turn, LOCK, timeout=KEEPER_S)
            except Exception as error:
                raise translated(error) from error
            return [found async for found in self._each(connection, newest, KEEPER_S)] if mine else None

    async def look(self, newest: int | None, check_s: float) -> AsyncIterator[Finding]:
        """What each check finds, one after the other, whoever else looks. `newest` None: at every job there is."""
        async with self._session(check_s) as connection:
            async for found in self._each(connection, newest, check_s):
                yield found

    async def ask(
        self, connection: asyncpg.Connection[asyncpg.Record], check: Check, newest: int | None, check_s: float
    ) -> Finding:
        """What one check finds. Raises TryAgain where it takes too long, ServerAway, ServerUnfit."""
        try:
            async with asyncio.timeout(check_s + 1):
                rows = await connection.fetch(self._statement(check, newest))
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise ServerUnfit("postgresql", f"{error}: run sluice migrate") from error
        except Exception as error:
            raise translated(error) from error
        return Finding(check.name, rows[0][0], tuple(rows[0][1]))

    async def _each(
        self, connection: asyncpg.Connection[asyncpg.Record], newest: int | None, check_s: float
    ) -> AsyncIterator[Finding]:
        for check in self.checks.values():
            yield await self.ask(connection, check, newest, check_s)

    @asynccontextmanager
    async def _session(self, check_s: float) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """Nothing is written, so there is nothing to end well."""
        limit = {"statement_timeout": f"{check_s * 1000:.0f}"}
        connection = await connect(self._url, "sluice-verify", SESSION | limit)
        try:
            yield connection
        finally:
            connection.terminate()

    def _statement(self, check: Check, newest: int | None) -> str:
        """The check as it is sent. Where history is asked, `newest` bounds it: the last so many jobs that came."""
        recent = f"(select * from jobs order by id desc limit {newest:d}) as jobs" if newest else "jobs"  # noqa: S608  a number
        sql = check.sql.replace(":recent_jobs", recent)
        sql = sql.replace(":patience", f"interval '{self._patience_s:f} seconds'")
        sql = sql.replace(":lost_limit", str(LOST_LIMIT))
        return COUNTED.format(sql.replace(":solo_crash_limit", str(SOLO_CRASH_LIMIT)))
