"""Every statement under sluice/adapters/postgres/queries is understood by a real server with the real schema."""

from __future__ import annotations

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.pool import load_queries
from tests.support.servers import sql_session


@pytest.mark.parametrize("name", load_queries())
async def test_postgresql_understands(name: str, servers: Servers) -> None:
    async with sql_session(servers.postgres.url) as sql:
        await sql.prepare(load_queries()[name])
