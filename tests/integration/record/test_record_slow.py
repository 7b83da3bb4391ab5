"""Statements of the keeper that their usual time is not enough for: they end all the same, and hold up nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.keeper_store import PostgresKeeperStore
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import Store
from sluice.core.errors import TryAgain
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.record.record_fixture import Record

SLEEPING = "select from pg_stat_activity where wait_event = 'PgSleep' and application_name = 'hurried'"


@pytest.fixture
async def hurried(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A record whose only connection gives a statement one second."""
    monkeypatch.setitem(SETTINGS, "statement_timeout", "1s")
    database = Database(servers.postgres.url, "hurried", Telemetry(), size=1)
    yield database
    await database.close()


async def test_a_keeper_has_minutes_where_others_have_seconds(
    record: Record, hurried: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurried, "_queries", {**hurried._queries, "clock": "select now() from pg_sleep(2)"})
    with pytest.raises(TryAgain):
        await Store(hurried, 10).clock()
    assert (await PostgresKeeperStore(hurried, record.owner).clock()).tzinfo


async def test_what_is_slow_takes_no_connection_of_the_pool_and_ends_when_it_is_given_up(
    record: Record, hurried: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurried, "_queries", {**hurried._queries, "clock": "select pg_sleep(3600)"})
    slowly = asyncio.create_task(hurried.fetch_slowly("clock", limit_s=300))
    while not await record.sql.fetch(SLEEPING):
        pass
    assert await Store(hurried).ask("ping")
    slowly.cancel()
    while await record.sql.fetch(SLEEPING):
        pass


async def test_what_is_slow_takes_no_longer_than_it_may(
    hurried: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurried, "_queries", {**hurried._queries, "clock": "select pg_sleep(3600)"})
    with pytest.raises(TryAgain):
        await hurried.fetch_slowly("clock", limit_s=2)
