"""The record, opened anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.connecting import tell_arrays_by_type
from tests.integration.record.record_fixture import Record, open_record
from tests.support.servers import empty_postgres

tell_arrays_by_type()  # as the processes do, so that no statement is given anything else


@pytest.fixture
async def servers(shared_servers: Servers) -> Servers:
    """The real servers, of which PostgreSQL is up and empty: the others are of no use here."""
    shared_servers.up(shared_servers.postgres)
    await empty_postgres(shared_servers)
    return shared_servers


@pytest.fixture
async def record(servers: Servers) -> AsyncIterator[Record]:
    """An empty record, in which every process has its lease."""
    async with open_record(servers) as opened:
        yield opened
