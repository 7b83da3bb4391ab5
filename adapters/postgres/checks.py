"""Whether a PostgreSQL is fit to be the record, judged at every new connection and now and then in between.

What only a person can change (a setting under which accepted jobs could be lost, a server that is too old) ends the
process. What others are about to change (a standby that will be promoted, a schema that will be migrated) is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import asyncpg

from adapters.doubts import Doubts
from core.errors import ServerUnfit
from core.telemetry import Telemetry

SERVER = "postgresql"
OLDEST = 140_000
"""The oldest release on which the statements and the shipped settings work, as `server_version_num` has it."""

SAFE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply"),
}
"""Values under which what COMMIT has answered survives a power cut."""

READ_ONLY = "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


class Setting(NamedTuple):
    """A setting as the session has it, and from where."""

    value: str
    source: str


class Inspection:
    """Judges servers for one process. With `accept`, weak settings are noted as doubts and left as they are."""

    def __init__(self, doubts: Doubts | None = None, *, accept: bool = False) -> None:
        self._doubts, self._accept = doubts or Doubts(Telemetry()), accept
        self._needed = newest_revision()

    async def of_new(
        self, connection: asyncpg.Connection[asyncpg.Record], queries: Mapping[str, str]
    ) -> None:
        """Judge the server behind a new connection before anything else runs there. Raises ServerUnfit."""
        self.judge(await connection.fetch(queries["fitness"]))
        await self._check_schema(connection, queries["revision"])
        if not self._accept:
            await connection.execute(queries["sync_commits"])

    def judge(self, rows: Iterable[asyncpg.Record]) -> None:
        """Judge what the statement `fitness` answered. Raises ServerUnfit, and tells the doubts where that is final."""
        found = {name: Setting(value, source) for name, value, source in rows}
        self._refuse(too_old(found))
        weak = weak_settings(found)
        if not self._accept:
            self._refuse(weak)
        self._doubts.note(SERVER, [weak] if weak else [])
        if found["transaction_read_only"].value == "on":
            raise ServerUnfit(SERVER, READ_ONLY)

    def _refuse(self, line: str) -> None:
        if line:
            self._doubts.refuse(line)
            raise ServerUnfit(SERVER, line)

    async def _check_schema(self, connection: asyncpg.Connection[asyncpg.Record], query: str) -> None:
        try:
            revision = await connection.fetchval(query)
        except asyncpg.UndefinedTableError:
            revision = None
        if (revision or "") < self._needed:
            raise ServerUnfit(
                SERVER,
                f"the schema is at revision {revision or 'none'}, this release needs {self._needed}: "
                "run python -m adapters.postgres.migrate",
            )


def newest_revision() -> str:
    """The revision that this release brings along; a newer one in the database does no harm."""
    return max(path.name[:4] for path in MIGRATIONS.glob("[0-9]*.py"))


def too_old(found: Mapping[str, Setting]) -> str:
    """What is wrong with the release of the server; empty where nothing is."""
    number = int(found["server_version_num"].value)
    if number >= OLDEST:
        return ""
    return f"PostgreSQL is of release {number // 10_000}; it has to be {OLDEST // 10_000} or newer: upgrade the server"


def weak_settings(found: Mapping[str, Setting]) -> str:
    """Under which settings an accepted job could be lost, and what to do; empty where under none."""
    weak = {name: found[name] for name in SAFE if found[name].value not in SAFE[name]}
    if not weak:
        return ""
    named = ", ".join(f"{name} = {setting.value}" for name, setting in weak.items())
    who = {each: found[each].value for each in ("role", "database")}
    remedies = [_remedy(name, setting, who) for name, setting in weak.items()]
    if any(each.startswith("ALTER SYSTEM") for each in remedies):
        remedies.append("SELECT pg_reload_conf();")
    return (
        f"PostgreSQL has {named}: jobs that were answered with 202 could be lost when its machine dies. "
        f"Remedy: {' '.join(remedies)}"
    )


def _remedy(name: str, setting: Setting, who: Mapping[str, str]) -> str:
    """SQL for its superuser, or words, by what set it: ALTER SYSTEM is overruled by most other sources."""
    match setting.source:
        case "database":
            return f"ALTER DATABASE {who['database']} RESET {name};"
        case "user":
            return f"ALTER ROLE {who['role']} RESET {name};"
        case "database user":
            return f"ALTER ROLE {who['role']} IN DATABASE {who['database']} RESET {name};"
        case "command line":
            return f"start the server without {name} on its command line;"
        case "client":
            return f"take {name} out of the options of SLUICE_POSTGRES_URL;"
        case _:
            return f"ALTER SYSTEM SET {name} = on;"
