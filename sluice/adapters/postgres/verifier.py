"""Check the invariants of a live record: one SQL file per invariant, read-only, bounded in time.

Each statement selects a row per offender. Work in flight is no offence: what takes time is given more of it than it needs,
and everything else is read in one snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import asyncpg

from sluice.adapters.postgres.pool import WRITE_S, connect, translated
from sluice.adapters.postgres.statements import QUERIES, fill, load_fragments, split_comment
from sluice.core.errors import ServerUnfit
from sluice.core.lifecycle import LOST_LIMIT, SOLO_CRASH_LIMIT
from sluice.core.ports import Finding
from sluice.core.runtime.settings import Settings

INVARIANTS = QUERIES / "verifier" / "invariants"
# For this transaction alone: behind a pooler, the session may be somebody else's next. A check may well read a whole table.
_READING = """\
begin read only; set local enable_seqscan = on; set local enable_bitmapscan = on; set local plan_cache_mode = auto;
set local statement_timeout = {limit_ms:.0f}"""
T = TypeVar("T")
KEEPER_S = 60.0
"""Seconds for one check while a keeper verifies: as with its other statements, more than it takes unless a transaction stays open."""


class Check(NamedTuple):
    """One invariant: what an offender is, what an operator should do, and the statement that finds them."""

    name: str
    means: str
    do: str
    sql: str


def load_checks() -> dict[str, Check]:
    """Load every check by the name of its file, whose first lines say what it means and what to do."""
    return {path.stem: _parse(path.stem, path.read_text()) for path in sorted(INVARIANTS.glob("*.sql"))}


def _parse(name: str, text: str) -> Check:
    comment, sql = split_comment(text)
    means, _, do = comment.partition(" Do: ")
    return Check(name, means, do, sql)


class PostgresVerifier:
    """Implements sluice.core.ports.Verifier, over a connection of its own each time."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url, self.checks, self._fragments = url, load_checks(), load_fragments()
        self._patience_s = settings.lease_s + 5 * settings.keeper_s + 5

    async def verify(self, newest: int | None, check_s: float = KEEPER_S) -> list[Finding]:
        """Run one check after the other, each for so many seconds at most. `newest` None: look at every job there is."""
        found = []
        async with self._session() as connection:
            for check in self.checks.values():
                async with self._reading(connection, check_s):
                    found.append(await self.run(connection, check, newest, check_s))
        return found

    async def run(
        self, connection: asyncpg.Connection[asyncpg.Record], check: Check, newest: int | None, check_s: float
    ) -> Finding:
        """Run one check. Raises TryAgain if it takes too long, ServerAway, ServerUnfit."""
        rows = await _in_time(connection.fetch(self._statement(check, newest)), check_s + 1)
        return Finding(check.name, rows[0][0], tuple(rows[0][1]))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """Open a connection, and cut it off at the end: nothing is written, so nothing needs a clean end."""
        connection = await connect(self._url, "sluice-verify")
        try:
            yield connection
        finally:
            connection.terminate()

    @asynccontextmanager
    async def _reading(
        self, connection: asyncpg.Connection[asyncpg.Record], check_s: float
    ) -> AsyncIterator[None]:
        """Let nothing be written in the block, and no statement take longer than this. After an error, cut the connection off."""
        await _in_time(connection.execute(_READING.format(limit_ms=check_s * 1000)), WRITE_S)
        yield
        await _in_time(connection.execute("commit"), WRITE_S)

    def _statement(self, check: Check, newest: int | None) -> str:
        """Complete a check. If it looks at history, `newest` limits that to so many of the jobs that came last."""
        values = self._fragments | {
            "recent_jobs": self._fragments["recent_jobs"] if newest else "jobs",
            "newest": f"{newest:d}" if newest else "all",
            "patience": f"interval '{self._patience_s:f} seconds'",
            "living": f"lease_until > clock_timestamp() - interval '{self._patience_s:f} seconds'",
            "lost_limit": str(LOST_LIMIT),
            "solo_crash_limit": str(SOLO_CRASH_LIMIT),
        }
        return fill(self._fragments["count_offenders"], {"check": fill(fill(check.sql, values), values)})


async def _in_time(answer: Awaitable[T], most_s: float) -> T:
    try:
        async with asyncio.timeout(most_s):
            return await answer
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise ServerUnfit("postgresql", f"{error}: run sluice migrate") from error
    except Exception as error:
        raise translated(error) from error
