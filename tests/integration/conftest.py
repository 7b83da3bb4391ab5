"""Processes for a whole module, whose tests leave them as they found them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.support.job_client import KINDS
from tests.support.stack import Stack, stack_on_empty_servers


@pytest.fixture(scope="module")
def two_apis(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start two apis, and a consumer whose heartbeat is slower than any cancel may be."""
    settings = {"handlers": KINDS, "beat_s": 60, "lease_s": 200}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("two"), **settings) as stack:
        asyncio.run(stack.start(apis=2))
        yield stack


@pytest.fixture
def stack_of_the_pages(shared_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Start an api and a consumer as `make run` does: with the shipped kinds and documents, and webhooks may reach this machine."""
    with stack_on_empty_servers(shared_servers, tmp_path, docs=True, webhook_allow="127.0.0.1/32") as stack:
        asyncio.run(stack.start())
        yield stack
