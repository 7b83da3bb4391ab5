"""The subjects of the suites: for each port the real adapter on a clean server, and the fake that unit tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.redis.ports import redis_ports
from sluice.core.ports import DocumentCache, StatisticsBoard, Subscriptions
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fakes import FakeCache
from tests.support.servers import settings_for


class Cache(NamedTuple):
    """What Redis is for; `leave` makes it go away."""

    documents: DocumentCache
    subscriptions: Subscriptions
    board: StatisticsBoard
    leave: Callable[[], object]


@pytest.fixture(params=["fake", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """An empty one."""
    if request.param == "fake":
        fake = FakeCache()
        yield Cache(fake, fake, fake, lambda: setattr(fake, "away", True))
        return
    servers: Servers = request.getfixturevalue("shared_servers")
    servers.up(servers.redis)
    async with redis.Redis.from_url(servers.redis.url) as client:
        await client.flushall()
    real = redis_ports(settings_for(servers), "tests", Telemetry())
    real.connection.belong_to("contract")
    yield Cache(real.cache, real.subscriptions, real.board, servers.redis.kill)
    await real.close()
