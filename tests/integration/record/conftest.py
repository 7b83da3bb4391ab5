"""The record, opened anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.local.servers import Servers
from tests.integration.record.record_fixture import Record
from tests.support.servers import empty_postgres


@pytest.fixture
async def servers(shared_servers: Servers) -> Servers:
    """The real servers, of which PostgreSQL is up and empty: the others are of no use here."""
    shared_servers.up(shared_servers.postgres)
    await empty_postgres(shared_servers)
    return shared_servers


@pytest.fixture
async def record(servers: Servers) -> AsyncIterator[Record]:
    """An empty record, in which every process has its lease."""
    sql = await asyncpg.connect(servers.postgres.url)
    opened = Record(servers, sql)
    await opened.begin()
    yield opened
    await opened.database.close()
    sql.terminate()  # it may have been cut off already
