"""Every statement under sluice/adapters/postgres/queries is understood by a real server with the real schema."""

from __future__ import annotations

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.statements import load_queries


@pytest.mark.parametrize("name", load_queries())
async def test_postgresql_understands(name: str, servers: Servers) -> None:
    connection = await asyncpg.connect(servers.postgres.url)
    try:
        await connection.prepare(load_queries()[name])
    finally:
        await connection.close()
