"""Processes for a whole module, whose tests leave them as they found them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from infra.local.servers import Servers
from tests.support.job_client import KINDS
from tests.support.servers import empty
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def standing(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An api and a consumer with the kinds of the product."""
    shared_servers.up()
    running = Stack(shared_servers, tmp_path_factory.mktemp("standing"))
    try:
        asyncio.run(empty(shared_servers))
        asyncio.run(running.start())
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def pair(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two apis and a consumer whose heartbeat is slower than any cancel may be."""
    shared_servers.up()
    directory = tmp_path_factory.mktemp("pair")
    running = Stack(shared_servers, directory, handlers=KINDS, beat_s=60, lease_s=200)
    try:
        asyncio.run(empty(shared_servers))
        asyncio.run(running.start(apis=2))
        yield running
    finally:
        running.stop()
