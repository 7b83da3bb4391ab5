"""Redis fails over to its replica: reads, writes and subscriptions follow what the Sentinels say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from infra.local.redis import Redis
from infra.local.servers import Servers
from sluice.adapters.redis.ports import redis_ports
from sluice.core.document import render
from sluice.core.errors import ServerAway
from sluice.core.ports import Wake
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry
from tests.support.make_jobs import finished_job
from tests.support.sentinel import Replica, Sentinel, watched_redis
from tests.support.servers import settings_for
from tests.support.waiting import until, until_found


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Redis, Replica, Sentinel]]:
    with watched_redis(tmp_path) as three:
        yield three


async def test_everything_follows_to_the_new_master(
    shared_servers: Servers, watched: tuple[Redis, Replica, Sentinel]
) -> None:
    _, replica, sentinel = watched
    identity = RecordIdentity()
    identity.learn("one")
    ports = redis_ports(settings_for(shared_servers, redis_url=sentinel.url), "tests", Telemetry(), identity)
    heard: dict[str, Wake] = {}

    def on_wake(wakes: Mapping[str, Wake]) -> None:
        heard.update(wakes)

    async def failed_over() -> bool:
        with suppress(ResponseError):  # it knows of no replica yet
            await sentinel.fail_over()
        return await sentinel.master_port() == replica.port

    async def announced() -> bool:
        with suppress(ServerAway):
            await ports.cache.announce({job.id: job.version}, [render(job)], {})
        return bool(heard)

    listening = asyncio.create_task(ports.subscriptions.listen(on_wake))
    await until(lambda: ports.subscriptions.listening)
    await until_found(failed_over)
    job = finished_job()
    await until_found(announced)
    assert await ports.cache.get([job.id]) == [render(job)]
    listening.cancel()
    await asyncio.wait([listening])
    await ports.close()
