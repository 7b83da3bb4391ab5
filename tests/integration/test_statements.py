"""Every statement under sluice/adapters/postgres/queries is understood by a real server with the real schema."""

from __future__ import annotations

import re

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.statements import load_queries


@pytest.mark.parametrize(("name", "statement"), load_queries().items())
async def test_postgresql_understands(name: str, statement: str, servers: Servers) -> None:
    connection = await asyncpg.connect(servers.postgres.url)
    try:
        parameters = (await connection.prepare(statement)).get_parameters()
    finally:
        await connection.close()
    code = re.sub("--.*", "", statement)
    assert len(parameters) == len(set(re.findall(r"\$(\d+)\b", code))), name
