"""A real server with the real schema prepares every statement below sluice/adapters/postgres/queries."""

from __future__ import annotations

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.statements import load_queries
from tests.support.servers import sql_session


@pytest.mark.parametrize("name", load_queries())
async def test_postgresql_prepares(name: str, servers: Servers) -> None:
    async with sql_session(servers.postgres.url) as sql:
        await sql.prepare(load_queries()[name])
