"""What every LiveLogs does: the one in memory that unit tests use, and the one on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.redis.ports import redis_ports
from sluice.core.errors import ServerAway
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines, LiveLogs
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.contract.conftest import Cache
from tests.support.fakes import Events
from tests.support.make_jobs import new_job
from tests.support.servers import settings_for
from tests.support.waiting import until

WHOLE = LogBlock(2, 3, b'{"message":"a"}\n{"message":"\xc3\xa9"}')
NEW = LogBlock(2, 4, b'{"message":"\xc3\xa9"}')


def lines(job_id: str, whole: LogBlock | None = WHOLE, new: LogBlock = NEW, keep_s: float = 60) -> LiveLines:
    """Lines of a job of acme."""
    return LiveLines(job_id, "acme", new, whole, keep_s)


async def test_the_newest_lines_of_a_job_are_kept(cache: Cache) -> None:
    one, other = new_job().id, new_job().id
    assert await cache.live_logs.read(one) is None
    await cache.live_logs.post([lines(one), lines(other, LogBlock(1, 1, b"{}"))])
    assert await cache.live_logs.read(one) == WHOLE
    await cache.live_logs.post([lines(one, LogBlock(3, 1, b"{}"))])
    assert await cache.live_logs.read(one) == LogBlock(3, 1, b"{}")
    assert await cache.live_logs.read(other) == LogBlock(1, 1, b"{}")


async def test_what_is_dropped_is_kept_no_more_but_later_attempts_are(cache: Cache) -> None:
    one, later, unknown = new_job().id, new_job().id, new_job().id
    await cache.live_logs.post([lines(one), lines(later)])
    await cache.live_logs.drop([(one, 2), (later, 1), (unknown, 1)])
    assert await cache.live_logs.read(one) is None
    assert await cache.live_logs.read(later) == WHOLE


async def test_who_listens_is_told_what_is_new(cache: Cache) -> None:
    told: list[Sequence[LiveLines]] = []
    listening = asyncio.create_task(cache.live_logs.listen(told.append))
    await until(lambda: told)
    one, other = new_job().id, new_job().id
    await cache.live_logs.post([lines(one), lines(other, None)])
    await until(lambda: len(told) > 1)
    assert list(told[1]) == [LiveLines(one, "acme", NEW), LiveLines(other, "acme", NEW)]
    assert await cache.live_logs.read(other) is None
    listening.cancel()
    await asyncio.wait([listening])


async def test_without_a_server_every_call_says_so(cache: Cache) -> None:
    cache.leave()
    for call in (
        cache.live_logs.post([lines("x")]),
        cache.live_logs.read("x"),
        cache.live_logs.drop([("x", 1)]),
    ):
        with pytest.raises(ServerAway):
            await call


@pytest.fixture
async def live_logs(shared_servers: Servers) -> AsyncIterator[tuple[LiveLogs, str, Events]]:
    """On a real server, with its address."""
    shared_servers.up(shared_servers.redis)
    identity, events = RecordIdentity(), Events()
    identity.learn("contract")
    ports = redis_ports(settings_for(shared_servers), "tests", Telemetry(events), identity)
    yield ports.live_logs, shared_servers.redis.url, events
    await ports.close()


@pytest.mark.parametrize(
    "value", ["x", "other 1 1\n{}", "{id} 1 1\n", "{id} 1\n{}", "{id} a 1\n{}", "{id} 1 1 1\n{}"]
)
async def test_what_cannot_be_the_log_of_this_job_is_none(
    live_logs: tuple[LiveLogs, str, Events], value: str
) -> None:
    logs, url, events = live_logs
    job_id = new_job().id
    async with redis.Redis.from_url(url) as client:
        await client.set(f"sluice:contract:lines:{job_id}", value.replace("{id}", job_id))
        assert await logs.read(job_id) is None
        assert events.count(Event.CACHE_MISMATCH) == 1


async def test_lines_go_with_their_time_and_what_is_unreadable_is_passed_over(
    live_logs: tuple[LiveLogs, str, Events],
) -> None:
    logs, url, events = live_logs
    job_id = new_job().id
    told: list[Sequence[LiveLines]] = []
    listening = asyncio.create_task(logs.listen(told.append))
    await until(lambda: told)
    async with redis.Redis.from_url(url) as client:
        for wrong in (b"\xc1", b"\x92\x01\x02", b"\x01"):
            await client.publish("sluice:lines", wrong)
        await logs.post([lines(job_id, keep_s=0.5)])
        await until(lambda: len(told) > 1)
        assert 0 < await client.ttl(f"sluice:contract:lines:{job_id}") <= 1
    assert events.count(Event.UNREADABLE) == 3
    listening.cancel()
    await asyncio.wait([listening])
