"""Bring the schema to the newest revision. Running it again does nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from sluice.adapters.postgres.connecting import connect_to_primary
from sluice.core.errors import CredentialsRefused
from sluice.errors import SluiceError

LOCK = 7_519_001
"""Advisory lock that lets one migration run at a time, however many processes are started at once."""
PAUSE_S = 0.1
SHARED = (
    "a pooler in transaction mode stands before PostgreSQL, where the lock that lets one migration run at a time does not hold: "
    "run sluice migrate past it, with the address of PostgreSQL itself in SLUICE_POSTGRES_URL"
)


async def migrate(url: str) -> str | None:
    """Migrate to the newest revision and return it. `url` is a postgresql:// address.

    Raises SluiceError if the database cannot be reached, refuses, or is behind a pooler that shares sessions.
    """
    # Not by SQLAlchemy's reading of the address: it knows no second host, and other options.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=partial(connect_to_primary, url), poolclass=NullPool
    )
    try:
        await _refuse_shared_sessions(url)
        async with engine.connect() as connection:
            await _take_turn(connection)
            await connection.execute(text("set lock_timeout = '2s'"))
            await connection.commit()
            return await connection.run_sync(_upgrade)
    except ValueError as error:
        raise SluiceError(f"SLUICE_POSTGRES_URL cannot be used: {error}") from error
    except (OSError, OverflowError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _translated(error) from error
    finally:
        await engine.dispose()


async def _refuse_shared_sessions(url: str) -> None:
    """Raise SluiceError if two open connections share a session: our lock would stay with whoever has it next, or be nobody's."""
    connections = [await connect_to_primary(url) for _ in range(2)]
    try:
        seen = [[await each.fetchval("select pg_backend_pid()") for each in connections] for _ in range(2)]
    except asyncpg.InvalidSQLStatementNameError:
        raise SluiceError(SHARED) from None
    finally:
        for each in connections:
            each.terminate()
    if seen[0] != seen[1] or len({*seen[0]}) < len(connections):
        raise SluiceError(SHARED)


def _translated(error: Exception) -> SluiceError:
    """Translate what the driver raised, which SQLAlchemy may have wrapped twice."""
    found = (error.orig or error) if isinstance(error, DBAPIError) else error
    if isinstance(found.__cause__ or found, asyncpg.InvalidPasswordError):
        return CredentialsRefused("postgresql")
    return SluiceError(str(found))


async def _take_turn(connection: AsyncConnection) -> None:
    """Ask for the lock until it is ours: a statement that waited for it would be an open transaction, and building an index
    waits for those."""
    while not await connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        await connection.commit()
        await asyncio.sleep(PAUSE_S)
    await connection.commit()


def _upgrade(connection: Connection) -> str | None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return MigrationContext.configure(connection).get_current_revision()
