"""The record, opened anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.local.servers import Servers
from tests.integration.record.tools import Record


@pytest.fixture
async def record(servers: Servers) -> AsyncIterator[Record]:
    """An empty record. The lease is so short that PostgreSQL has always been up for one."""
    sql = await asyncpg.connect(servers.postgres.url)
    opened = Record(servers, sql, lease_s=0.001)
    yield opened
    await opened.database.close()
    await sql.close()
