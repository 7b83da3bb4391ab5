"""Fixtures for tests that need servers; unit tests use none of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.local import ports
from infra.local.servers import Servers
from tests.support.servers import empty, running_servers
from tests.support.stack import Stack


def pytest_configure() -> None:
    """Give each worker of a run ports of its own: two could take the same one before either listens on it."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports._CANDIDATES = ports._CANDIDATES[number::workers]


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
