"""What every cache of documents does: the one that tests use and the one on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta

import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters.redis.cache import RedisCache
from sluice.core.document import render
from sluice.core.errors import ServerAway
from sluice.core.job import Job
from sluice.core.ports import Result, Wake
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fakes import FakeCache
from tests.support.make_jobs import AT, finished_job
from tests.support.servers import settings_for
from tests.support.waiting import until

Cache = FakeCache | RedisCache
PRINT = b"p" * 32
LATER = AT + timedelta(seconds=60)


@pytest.fixture(params=["fake", "redis"])
def servers(request: pytest.FixtureRequest) -> Servers | None:
    """The servers behind the cache, where it needs any."""
    return None if request.param == "fake" else request.getfixturevalue("shared_servers")


@pytest.fixture
async def cache(servers: Servers | None) -> AsyncIterator[Cache]:
    """An empty cache."""
    if servers is None:
        yield FakeCache()
        return
    servers.up(servers.redis)
    async with redis.Redis.from_url(servers.redis.url) as client:
        await client.flushall()
    cache = RedisCache(servers.redis.url, "tests", Telemetry(), settings_for(servers))
    cache.belong_to("contract")
    yield cache
    await cache.close()


@pytest.fixture
def leave(cache: Cache, servers: Servers | None) -> Callable[[], None]:
    """Makes the server behind the cache go away."""
    return servers.redis.kill if servers else lambda: setattr(cache, "away", True)


class Ear:
    """Listens to a cache, and keeps what it hears."""

    def __init__(self, cache: Cache) -> None:
        self.heard: dict[str, Wake] = {}
        self._any = asyncio.Event()
        self.task = asyncio.create_task(cache.listen(self._hear))

    def _hear(self, wakes: Mapping[str, Wake]) -> None:
        self.heard |= wakes
        if wakes:  # else it is only said that some may have been missed
            self._any.set()

    async def next(self) -> None:
        """Wait until something was heard since the last time."""
        await self._any.wait()
        self._any.clear()

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.fixture
async def ear(cache: Cache) -> AsyncIterator[Ear]:
    """Somebody who listens."""
    ear = Ear(cache)
    await until(lambda: cache.listening)
    yield ear
    await ear.close()


async def keep(cache: Cache, *jobs: Job) -> None:
    await cache.announce({job.id: job.version for job in jobs}, [render(job) for job in jobs], {})


async def test_an_empty_cache_has_nothing(cache: Cache) -> None:
    assert await cache.get(["a", "b"]) == [None, None]


async def test_documents_come_in_the_order_they_are_asked_for(cache: Cache) -> None:
    first, second = finished_job(), finished_job(tenant="other")
    await keep(cache, first, second)
    assert await cache.get([second.id, "unknown", first.id]) == [render(second), None, render(first)]


async def test_a_document_that_is_kept_never_changes(cache: Cache) -> None:
    job = finished_job()
    await keep(cache, job)
    await keep(cache, job._replace(version=9, result=b'{"total":4}'))
    assert await cache.get([job.id]) == [render(job)]


async def test_unfinished_jobs_are_announced_and_not_kept(cache: Cache, ear: Ear) -> None:
    await cache.announce({"a": 2}, [], {})
    await ear.next()
    assert ear.heard == {"a": Wake(2, finished=False)}
    assert await cache.get(["a"]) == [None]


async def test_whoever_listens_hears_all_ids_with_their_versions(cache: Cache, ear: Ear) -> None:
    job = finished_job(version=12)
    await cache.announce({"a": 2, job.id: 12}, [render(job)], {})
    await ear.next()
    assert ear.heard == {"a": Wake(2, finished=False), job.id: Wake(12, finished=True)}


async def test_when_a_finish_is_heard_its_document_is_there(cache: Cache, ear: Ear) -> None:
    job = finished_job()
    announcing = asyncio.create_task(keep(cache, job))
    await ear.next()
    assert await cache.get([job.id]) == [render(job)]
    await announcing


async def test_nothing_is_missed_from_the_moment_a_cache_says_that_it_listens(cache: Cache) -> None:
    for number in range(20):
        ear = Ear(cache)
        await until(lambda: cache.listening)
        await cache.announce({"a": number}, [], {})
        await asyncio.wait_for(ear.next(), 5)
        assert ear.heard == {"a": Wake(number, finished=False)}
        await ear.close()


async def test_everybody_who_listens_is_told(cache: Cache, ear: Ear) -> None:
    others = [Ear(cache) for _ in range(3)]
    while not all(other.heard for other in others):
        await cache.announce({"a": 1}, [], {})
        await asyncio.sleep(0.002)
    for other in others:
        await other.close()


async def noted(cache: Cache, *jobs: Job) -> None:
    await cache.announce({}, [], {job.fingerprint or b"": job for job in jobs})


async def test_results_come_in_the_order_of_the_fingerprints_with_their_times(cache: Cache) -> None:
    first, second = finished_job(fingerprint=b"\x00" * 32), finished_job(fingerprint=b"\xff" * 32)
    await noted(cache, first, second)
    found = await cache.find_results([b"\xff" * 32, b"unknown", b"\x00" * 32])
    assert found == [Result(second.id, AT.timestamp()), None, Result(first.id, AT.timestamp())]


async def test_a_newer_result_replaces_an_older_one(cache: Cache) -> None:
    older, newer = finished_job(fingerprint=PRINT), finished_job(fingerprint=PRINT, finished_at=LATER)
    await noted(cache, older)
    await noted(cache, newer)
    assert await cache.find_results([PRINT]) == [Result(newer.id, LATER.timestamp())]


async def test_a_forgotten_document_is_gone_and_no_late_writer_brings_it_back(cache: Cache) -> None:
    job, other = finished_job(), finished_job()
    await keep(cache, job, other)
    await cache.forget(job.id)
    await keep(cache, job)
    assert await cache.get([job.id, other.id]) == [None, render(other)]


async def test_many_documents_are_forgotten_together_and_each_is_told(cache: Cache) -> None:
    jobs, heard = [finished_job() for _ in range(1_000)], set[str]()
    await keep(cache, *jobs)
    listening = asyncio.create_task(cache.listen_gone(heard.add))
    while "warm-up" not in heard:  # nothing says from when on it listens
        await cache.forget("warm-up")
        await asyncio.sleep(0.002)
    await cache.forget()
    await cache.forget(*(job.id for job in jobs))
    await until(lambda: len(heard) == 1_001)
    assert heard == {"warm-up", *(job.id for job in jobs)}
    await keep(cache, *jobs)
    assert await cache.get([job.id for job in jobs]) == [None] * 1_000
    listening.cancel()
    await asyncio.wait([listening])


async def test_the_newest_statistics_are_put_up_for_all(cache: Cache) -> None:
    assert await cache.read_statistics() is None
    for news in (b"{}", b'{"default":{}}'):
        await cache.post_statistics(news)
        assert await cache.read_statistics() == news


async def test_statistics_are_not_there_without_the_server(cache: Cache, leave: Callable[[], None]) -> None:
    leave()
    with pytest.raises(ServerAway):
        await cache.post_statistics(b"{}")
    with pytest.raises(ServerAway):
        await cache.read_statistics()


async def test_a_document_that_was_forgotten_before_it_came_is_not_kept(cache: Cache) -> None:
    job = finished_job()
    await cache.forget(job.id)
    await keep(cache, job)
    assert await cache.get([job.id]) == [None]


@pytest.mark.parametrize("topic", ["stop", "gone"])
async def test_who_listens_for_stops_or_deletions_hears_of_those_alone(cache: Cache, topic: str) -> None:
    heard: list[str] = []
    listen = cache.listen_stops if topic == "stop" else cache.listen_gone
    listening = asyncio.create_task(listen(heard.append))
    while "warm-up" not in heard:  # nothing says from when on it listens
        await (cache.ask_stop if topic == "stop" else cache.forget)("warm-up")
        await asyncio.sleep(0.002)
    await keep(cache, finished_job())
    for tell, job_id in ((cache.ask_stop, "stop"), (cache.forget, "gone"), (cache.ask_stop, "stop")):
        await tell(job_id)
    await (cache.ask_stop if topic == "stop" else cache.forget)("last")
    await until(lambda: "last" in heard)
    assert {*heard} - {"warm-up"} == {topic, "last"}
    listening.cancel()
    await asyncio.wait([listening])


async def test_without_the_server_stops_are_for_nobody_and_nothing_is_forgotten(
    cache: Cache, leave: Callable[[], None]
) -> None:
    leave()
    await cache.ask_stop("a")
    with pytest.raises(ServerAway):
        await cache.forget("a")
    with pytest.raises(ServerAway):
        await cache.find_results([PRINT])


async def test_listening_ends_when_it_is_cancelled(cache: Cache, ear: Ear) -> None:
    await ear.close()
    assert ear.task.cancelled()
    assert not cache.listening


async def test_a_cache_that_is_away_says_so(cache: Cache, leave: Callable[[], None]) -> None:
    leave()
    with pytest.raises(ServerAway):
        await cache.get(["a"])
    with pytest.raises(ServerAway):
        await keep(cache, finished_job())
