"""The pool of connections to PostgreSQL, and the place where its errors become ours."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sluice.adapters.postgres.connecting import SETTINGS, Connection, open_session
from sluice.adapters.postgres.server_checks import POOLER, READ_ONLY, SERVER, ServerChecks
from sluice.adapters.postgres.statements import load_queries
from sluice.core.errors import (
    BadRow,
    CredentialsRefused,
    LeaseOver,
    OutcomeUnknown,
    Overloaded,
    ServerAway,
    ServerRefused,
    ServerUnfit,
    TryAgain,
    WritesRefused,
)
from sluice.core.runtime.breaker import Breaker
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import SluiceError

WRITE_S = 5.0
"""Seconds for a statement that no client waits for."""

IDLE_S = 60.0
"""Seconds after which a connection that nobody needs is closed."""

RELEASE_S = 1.0
"""Seconds for a statement to end that nobody waits for any more; then its connection is cut off."""

CLOSED = "this user may not read {}, for which its driver looks: set HOME to a directory of this user"

FULL = "PostgreSQL has no room left on its disk: make room, it goes on by itself"

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
_BAD_ROW = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a value too large for an index, say
)
_AWAY = (
    TimeoutError,
    OSError,
    EOFError,
    RuntimeError,  # of uvloop: the connection was reset a moment ago
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, starting up
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory
    asyncpg.StatementCompletionUnknownError,
    asyncpg.InternalClientError,
)


def translated(error: Exception) -> Exception:
    """Translate a driver's error into ours; return any other as it is: a mistake of ours."""
    if getattr(error, "constraint_name", None) == "running_has_owner":
        return LeaseOver()
    if isinstance(error, _AGAIN):
        return TryAgain(str(error))
    if isinstance(error, _BAD_ROW):
        return BadRow(str(error))
    if (unfit := _unfitness(error)) is not None:
        return unfit
    if isinstance(error, _AWAY):
        return ServerAway(SERVER, str(error) or "did not answer in time")
    if isinstance(error, asyncpg.PostgresError):
        # Not its message, which may name hosts and values: that goes to the log alone.
        return ServerRefused(SERVER, f"{error.sqlstate} {type(error).__name__}")
    return error


def _unfitness(error: Exception) -> ServerUnfit | None:
    """What a person has to mend, where the error says so."""
    match error:
        case asyncpg.DiskFullError():
            return WritesRefused(SERVER, FULL)
        case asyncpg.ReadOnlySQLTransactionError():
            return WritesRefused(SERVER, READ_ONLY)
        case asyncpg.InvalidSQLStatementNameError():
            return ServerUnfit(SERVER, POOLER)
        case asyncpg.InvalidPasswordError():
            return CredentialsRefused(SERVER)
        case PermissionError(errno=errno.EACCES, filename=file):
            return ServerUnfit(SERVER, CLOSED.format(file or "its socket or a file of ~/.postgresql"))
    return None


def _for_good(error: Exception, sent: bool) -> str:
    """Say what no waiting mends; empty for any other error."""
    if isinstance(error, asyncpg.InvalidSQLStatementNameError):
        return POOLER
    by_option = isinstance(error, asyncpg.ClientConfigurationError | asyncpg.UndefinedObjectError)
    if not sent and (by_option or "startup parameter" in str(error)):
        return f"SLUICE_POSTGRES_URL has an option that cannot be used: {error}"
    return ""


class Database:
    """A pool that opens by itself when PostgreSQL is there, and statements with a deadline around each.

    No statement runs on a connection whose server has not passed the checks.
    """

    def __init__(
        self, url: str, name: str, telemetry: Telemetry, size: int, checks: ServerChecks | None = None
    ) -> None:
        self._url, self._name, self._size = url, name, size
        self._checks = checks or ServerChecks()
        self._breaker = Breaker(SERVER, telemetry, monotonic)
        self._queries = load_queries()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._releasing: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Database {self._name}: {self._pool.get_size() if self._pool else 0} connections>"

    @property
    def refusal(self) -> WritesRefused | None:
        """Why a write was refused a moment ago, if one was."""
        return next((each for each in self._breaker.refusals if isinstance(each, WritesRefused)), None)

    async def fetch(self, query: str, *args: Any, budget_s: float) -> list[asyncpg.Record]:
        """Fetch the rows of a named statement within `budget_s` seconds. Raises ServerAway, TryAgain, BadRow, Overloaded."""
        return await self._run(query, args, budget_s, lost=None)

    async def commit(self, query: str, *args: Any, budget_s: float) -> list[asyncpg.Record]:
        """Fetch, for a write that must not be repeated: raises OutcomeUnknown if it was sent and its reply was lost."""
        return await self._run(query, args, budget_s, lost=OutcomeUnknown)

    async def fetch_slowly(self, query: str, *args: Any, limit_s: float) -> list[asyncpg.Record]:
        """Fetch within `limit_s` seconds, over a connection of its own: those of the pool are for what is quick. Raises as `fetch` does."""
        connection = await connect(self._url, self._name, statement_timeout=f"{limit_s}s")
        try:
            async with asyncio.timeout(limit_s + 1):
                return await connection.fetch(self._queries[query], *args)
        except Exception as error:
            raise translated(error) from error
        finally:
            with suppress(Exception):
                await connection.close(timeout=RELEASE_S)

    async def _run(
        self, query: str, args: Sequence[Any], budget_s: float, lost: type[SluiceError] | None
    ) -> list[asyncpg.Record]:
        self._breaker.check()
        sent = False
        try:
            async with asyncio.timeout(budget_s):
                pool = self._pool or await self._open()
                connection = await pool.acquire()
                sent = True
                rows = await self._fetch_over(pool, connection, query, args)
        except Exception as error:
            ours = translated(error)
            self._checks.refuse(_for_good(error, sent))
            if sent and isinstance(ours, ServerUnfit):
                self._breaker.refused(ours, call=query, said=str(error))
            elif not sent and isinstance(error, TimeoutError) and self._is_full():
                raise Overloaded from error
            elif isinstance(ours, ServerAway):
                self._breaker.failed(ours)
                if sent and lost:
                    raise lost from error
            elif isinstance(error, asyncpg.PostgresError):
                self._breaker.worked()
            raise ours from error
        self._breaker.worked()
        return rows

    def _is_full(self) -> bool:
        """Tell whether all connections are in use, and work: then a statement has waited for one of them, not for the server."""
        pool = self._pool
        full = pool is not None and pool.get_idle_size() == 0 and pool.get_size() == self._size
        return full and not self._breaker.open

    async def _fetch_over(
        self, pool: Pool, connection: PoolConnectionProxy[asyncpg.Record], query: str, args: Sequence[Any]
    ) -> list[asyncpg.Record]:
        try:
            rows = await connection.fetch(self._queries[query], *args)
        except BaseException:
            # Not waited for: the driver first asks the server to cancel the statement, and a frozen one never answers.
            self._releasing.start(_release(pool, connection), name="release")
            raise
        await pool.release(connection)
        return rows

    def reconnect(self) -> None:
        """Replace every connection before it is used again: they may lead to a server that is no longer the record."""
        if self._pool is not None:
            self._releasing.start(self._pool.expire_connections(), name="expire")

    async def close(self) -> None:
        """Close within 2 s, cutting off what is stuck."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(2):
                    await self._pool.close()
            except (TimeoutError, asyncpg.InterfaceError):
                self._pool.terminate()

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._size,
                    max_inactive_connection_lifetime=IDLE_S,
                    reset=_no_reset,
                    connect=self._connect,
                    server_settings={"application_name": self._name},
                )
            return self._pool

    async def _connect(self, *args: Any, **options: Any) -> Connection:
        """Connect and check. The pool's own `init` will not do: when it fails, it waits for the server, which may be frozen."""
        return await open_session(args[0], SETTINGS, self._check, **options)

    async def _check(self, connection: Connection) -> None:
        await self._checks.check(lambda query, *args: connection.fetch(self._queries[query], *args))


async def connect(url: str, name: str, **own: str) -> Connection:
    """Open a connection outside any pool. Raises ServerAway.

    Its `own` settings it has from its start: a pooler refuses or drops those, and never leaves them to the next client.
    """
    settings = {key: value for key, value in SETTINGS.items() if key not in own}
    try:
        async with asyncio.timeout(WRITE_S):
            return await open_session(url, settings, server_settings={"application_name": name} | own)
    except Exception as error:
        raise translated(error) from error


async def _release(pool: Pool, connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    with suppress(Exception):  # in time or not, the connection is in the pool again or cut off after this
        await pool.release(connection, timeout=RELEASE_S)


async def _no_reset(_: object) -> None:
    """Reset nothing: every statement runs in autocommit, and a reset would cost a round trip each."""
