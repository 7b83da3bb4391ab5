"""A connection to Redis that gave the reply to another command is closed: nothing more is believed of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple

import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.core.document import render
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.make_jobs import finished_job
from tests.support.servers import proxied_urls, settings_for
from tests.support.swapping_proxy import SwappingProxy

PATIENT_S = 30
NAME = b"sluice-swapped"


class Setup(NamedTuple):
    """Redis behind a proxy that exchanges replies, what was emitted, and a client that asks Redis itself."""

    proxy: SwappingProxy
    ports: RedisPorts
    events: Events
    client: redis.Redis

    async def connections(self) -> set[str]:
        """The connections of the process, as Redis numbers them; those of the test's own client are others."""
        return {each["id"] for each in await self.client.client_list() if each["name"] == NAME.decode()}

    async def read_both(self, *reads: Callable[[], Awaitable[object]]) -> list[object]:
        """Read at the same time, so that each has a connection of its own."""
        return list(await asyncio.gather(*(read() for read in reads)))


@pytest.fixture
async def setup(servers: Servers) -> AsyncIterator[Setup]:
    """As above, with patience: a busy machine may take as long as it likes."""
    async with SwappingProxy.running(servers.redis.port) as proxy:
        urls = proxied_urls(servers, {"redis": proxy.port})
        settings = settings_for(servers, **urls, redis_budget_s=PATIENT_S)
        events, identity = Events(), RecordIdentity()
        identity.learn("one")
        ports = redis_ports(settings, NAME.decode(), Telemetry(events), identity)
        client: redis.Redis = redis.Redis.from_url(servers.redis.url)
        yield Setup(proxy, ports, events, client)
        await ports.close()
        await client.aclose()


@pytest.mark.parametrize("what", ["documents", "scripts", "results", "lines"])
async def test_a_reply_to_another_is_a_miss_and_its_connection_is_closed(setup: Setup, what: str) -> None:
    reads, expected, kind = await written(setup, what)
    assert await setup.read_both(*reads) == expected
    before = await setup.connections()
    assert len(before) == 2
    setup.proxy.kinds = kind
    assert await setup.read_both(*reads) != expected
    setup.proxy.kinds = b""
    assert setup.proxy.swapped == 1
    assert setup.events.count(Event.CACHE_MISMATCH) >= 2
    assert await setup.read_both(*reads) == expected
    assert await setup.connections() & before == set()


async def test_a_miss_and_a_right_reply_close_nothing(setup: Setup) -> None:
    reads, expected, _ = await written(setup, "documents")
    assert await setup.read_both(*reads) == expected
    before = await setup.connections()
    assert await setup.ports.cache.get(["unknown"]) == [None]
    assert await setup.read_both(*reads) == expected
    assert await setup.connections() == before


async def written(
    setup: Setup, what: str
) -> tuple[list[Callable[[], Awaitable[object]]], list[object], bytes]:
    """Write two of these; return how each is read, what that gives, and what such a reply begins with."""
    cache, logs = setup.ports.cache, setup.ports.live_logs
    jobs = [finished_job(), finished_job()]
    if what == "lines":
        blocks = [LogBlock(1, 1, b'{"message":"%d"}' % number) for number in range(2)]
        await logs.post(
            [LiveLines(job.id, "acme", block, block, 60) for job, block in zip(jobs, blocks, strict=True)]
        )
        return [partial(logs.read, job.id) for job in jobs], list(blocks), b"$"
    prints = {bytes([number]) * 32: job for number, job in enumerate(jobs)}
    await cache.announce({job.id: job.version for job in jobs}, [render(job) for job in jobs], prints)
    if what == "results":
        found = [await cache.find_results([each]) for each in prints]
        return [partial(cache.find_results, [each]) for each in prints], list(found), b"*"
    more = ["unknown"] if what == "scripts" else []
    expected: list[object] = [[render(job), *([None] * len(more))] for job in jobs]
    return [partial(cache.get, [job.id, *more]) for job in jobs], expected, b"*"
