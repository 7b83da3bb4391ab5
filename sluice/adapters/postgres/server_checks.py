"""Check that a PostgreSQL is fit to be the record, on every new connection and from time to time.

What only a person can change (a setting under which accepted jobs could be lost, a server that is too old) ends the
process. What others are about to change (a standby that will be promoted, a schema that will be migrated) is waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.errors import ServerUnfit
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry

SERVER = "postgresql"
OLDEST = 15
"""The oldest release on which the statements and the shipped settings work."""

SAFE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply"),
}
"""Values under which what COMMIT has answered survives a power cut."""

READ_ONLY = "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on"
POOLER = (
    "a pooler in transaction mode stands before PostgreSQL and loses prepared statements: give it pool_mode = session, or take "
    "PgBouncer 1.21 or newer with max_prepared_statements"
)
LAG = (
    "PostgreSQL has standbys and COMMIT waits for none of them: if one is promoted, the last jobs that were answered with 202 may "
    "be lost. Remedy: ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'; SELECT pg_reload_conf(); or, if that may happen or "
    "none will ever be promoted, SLUICE_STANDBY_MAY_LAG=true"
)
REMEDIES = {
    "database": "ALTER DATABASE {database} RESET {name};",
    "user": "ALTER ROLE {role} RESET {name};",
    "database user": "ALTER ROLE {role} IN DATABASE {database} RESET {name};",
    "command line": "start the server without {name} on its command line;",
    "client": "take {name} out of the options of SLUICE_POSTGRES_URL;",
}
"""What helps, by what set a setting: these sources overrule ALTER SYSTEM."""
SYSTEM_REMEDY = "ALTER SYSTEM SET {name} = on;"
BESIDE_POOL = 2
"""Connections of a consumer beside its pool: for its lease, and while it verifies."""
NEWEST_REVISION = max(
    path.name[:4] for path in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
)
"""That this release ships; a newer one in the database does no harm."""
Fetch = Callable[..., Awaitable[Sequence[Any]]]
"""Runs a named statement with its arguments on the server that is checked, and returns the rows."""


class ServerChecks:
    """Checks servers for one process. With `accept`, weak settings are reported as problems and left as they are.

    With `standby_may_lag`, nothing is said of standbys for which COMMIT does not wait.

    `identity` learns of every server that is checked: after a failover it follows with the first new connection.
    """

    def __init__(
        self,
        config_problems: ConfigProblems | None = None,
        *,
        accept: bool = False,
        standby_may_lag: bool = False,
        identity: RecordIdentity | None = None,
    ) -> None:
        self._problems, self._accept = config_problems or ConfigProblems(Telemetry()), accept
        self._identity = identity or RecordIdentity()
        self._standby_may_lag = standby_may_lag

    async def check(self, fetch: Fetch) -> None:
        """Check a server before anything else runs there. Raises ServerUnfit, and stops the process if that is final."""
        try:
            [found] = await fetch("server_settings", not self._accept, *zip(*given_settings(), strict=True))
        except asyncpg.UndefinedTableError:
            raise ServerUnfit(SERVER, _unmigrated("none")) from None
        release = found["release"] // 10_000
        if release < OLDEST:
            self.refuse(f"PostgreSQL is of release {release}; it has to be {OLDEST} or newer: upgrade it")
        weak = await self._weakness(found, fetch)
        if not self._accept:
            self.refuse(weak)
        self.refuse(shared_session(found["lost"]))
        lag = LAG if found["standby_may_lag"] and not self._standby_may_lag else ""
        self._problems.report(SERVER, [line for line in (weak, lag) if line])
        if found["read_only"]:
            raise ServerUnfit(SERVER, READ_ONLY)
        if (found["revision"] or "") < NEWEST_REVISION:
            raise ServerUnfit(SERVER, _unmigrated(found["revision"] or "none"))
        self._identity.learn(found["identity"])

    def refuse(self, line: str) -> None:
        """Stop the process with this line, if there is one. Raises ServerUnfit."""
        if line:
            self._problems.refuse(line)
            raise ServerUnfit(SERVER, line)

    async def _weakness(self, found: Mapping[str, str], fetch: Fetch) -> str:
        """Say under which settings an accepted job could be lost, and what to do; empty if there are none."""
        weak = {name: found[name] for name in SAFE if found[name] not in SAFE[name]}
        if not weak:
            return ""
        sources = await fetch("setting_sources", list(weak))
        remedies = [REMEDIES.get(each["source"], SYSTEM_REMEDY).format_map(each) for each in sources]
        if any(each.startswith("ALTER SYSTEM") for each in remedies):
            remedies.append("SELECT pg_reload_conf();")
        named = ", ".join(f"{name} = {value}" for name, value in weak.items())
        return (
            f"PostgreSQL has {named}: jobs that were answered with 202 could be lost when its machine dies. "
            f"Remedy: {' '.join(remedies)}"
        )


async def describe_crowding(ask: Fetch, pool_size: int) -> list[str]:
    """Say so if PostgreSQL has too few connections for the processes seen there, should each use all of its pool.

    An api is seen by its open sessions alone: there may be more. Behind a pooler that shares sessions next to none is seen.
    """
    consumers, of_apis, others, most = (await ask("count_sessions"))[0]
    apis = -(-of_apis // pool_size)
    wanted = consumers * (pool_size + BESIDE_POOL) + apis * pool_size + others
    if wanted <= most:
        return []
    return [
        f"{consumers} consumers, {apis} apis or more and {others} other sessions may open {wanted} connections, and PostgreSQL takes "
        f"{most}: under load some are refused. Remedy: lower SLUICE_POSTGRES_CONNECTIONS (now {pool_size}), or ALTER SYSTEM SET "
        f"max_connections = {2 * wanted}; and restart PostgreSQL"
    ]


def _unmigrated(revision: str) -> str:
    return f"the schema is at revision {revision}, this release needs {NEWEST_REVISION}: run sluice migrate"


def given_settings() -> list[tuple[str, str]]:
    """List what sessions are given and can read again: over a socket, and on some systems, tcp_user_timeout is always 0."""
    return [(name, value) for name, value in SETTINGS.items() if name != "tcp_user_timeout"]


def shared_session(lost: Sequence[str]) -> str:
    """Say what to do where sessions lose settings that they were given; empty if they lose none."""
    if not lost:
        return ""
    remedies = " ".join(f"ALTER ROLE … SET {name} = '{SETTINGS[name]}';" for name in lost)
    return (
        "a pooler in transaction mode stands before PostgreSQL and drops what sessions set, time limits of statements among it: "
        f"give it pool_mode = session, or the role of SLUICE_POSTGRES_URL its settings: {remedies}"
    )
