"""Fixtures for tests that need servers; unit tests use none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.servers import empty, running_servers
from tests.stack import Stack


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Servers]:
    """One set of real servers for the whole run."""
    with running_servers() as servers:
        yield servers


@pytest.fixture
async def servers(shared_servers: Servers) -> Servers:
    """The real servers, all up and empty."""
    shared_servers.up()
    await empty(shared_servers)
    return shared_servers


@pytest.fixture
async def stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """One api and one consumer process on empty servers."""
    running = Stack(servers, tmp_path)
    try:
        await running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
async def bare_stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """A stack whose processes the test starts itself."""
    running = Stack(servers, tmp_path)
    try:
        yield running
    finally:
        running.stop()
