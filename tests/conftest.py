"""Fixtures for tests that need servers; unit tests use none of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from infra.local import ports
from infra.local.servers import ProgramMissing, Servers
from tests.support.servers import empty, running_servers
from tests.support.stack import Stack, stack_on_empty_servers


def pytest_configure() -> None:
    """Give each worker of a run its own ports, as two could take the same one before either listens on it; and time no example."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports._CANDIDATES = ports._CANDIDATES[number::workers]
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Skip a test that needs a program which is not on this machine; `infra.local ensure` has said so, and how to get it."""
    with _skipped_without_a_program():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip it as well if it starts the program itself."""
    with _skipped_without_a_program():
        return (yield)


@contextmanager
def _skipped_without_a_program() -> Iterator[None]:
    try:
        yield
    except ProgramMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Servers]:
    """Start one set of real servers for the whole run."""
    with running_servers() as servers:
        yield servers


@pytest.fixture
async def servers(shared_servers: Servers) -> Servers:
    """Make sure that the real servers are up and empty."""
    shared_servers.up()
    await empty(shared_servers)
    return shared_servers


@pytest.fixture
async def stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Start one api and one consumer on empty servers."""
    with Stack(servers, tmp_path) as running:
        await running.start()
        yield running


@pytest.fixture
async def bare_stack(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Provide a stack whose processes the test starts itself."""
    with Stack(servers, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start an api and a consumer for a whole module, whose tests leave them as they found them."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("stack")) as running:
        asyncio.run(running.start())
        yield running
