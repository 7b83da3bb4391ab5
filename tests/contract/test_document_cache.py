"""What every cache of documents does, and every subscription to what it announces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest

from sluice.core.document import render
from sluice.core.errors import ServerAway
from sluice.core.job import Job
from sluice.core.ports import MOST_READ, Result, Wake
from tests.contract.conftest import Cache
from tests.support.make_jobs import AT, finished_job
from tests.support.waiting import until

PRINT = b"p" * 32
LATER = AT + timedelta(seconds=60)


class Ear:
    """Listens to a cache, and keeps what it hears."""

    def __init__(self, cache: Cache) -> None:
        self.heard: dict[str, Wake] = {}
        self._any = asyncio.Event()
        self.task = asyncio.create_task(cache.subscriptions.listen(self._hear))

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
    await until(lambda: cache.subscriptions.listening)
    yield ear
    await ear.close()


async def keep(cache: Cache, *jobs: Job) -> None:
    await cache.documents.announce({job.id: job.version for job in jobs}, [render(job) for job in jobs], {})


async def test_an_empty_cache_has_nothing(cache: Cache) -> None:
    assert await cache.documents.get(["a", "b"]) == [None, None]


async def test_documents_come_in_the_order_they_are_asked_for(cache: Cache) -> None:
    first, second = finished_job(), finished_job(tenant="other")
    await keep(cache, first, second)
    assert await cache.documents.get([second.id, "unknown", first.id]) == [
        render(second),
        None,
        render(first),
    ]


async def test_only_so_many_bytes_are_read_at_once_and_one_document_at_least(cache: Cache) -> None:
    jobs = [finished_job(result=b'"%01500000d"' % number) for number in range(4)]
    huge = finished_job(result=b'"%0*d"' % (MOST_READ, 0))
    await keep(cache, *jobs, huge)
    ids = [job.id for job in jobs]
    assert await cache.documents.get(["unknown", *ids]) == [None, render(jobs[0]), render(jobs[1])]
    assert await cache.documents.get([huge.id, "unknown", *ids]) == [render(huge)]


async def test_a_document_that_is_kept_never_changes(cache: Cache) -> None:
    job = finished_job()
    await keep(cache, job)
    await keep(cache, job._replace(version=9, result=b'{"total":4}'))
    assert await cache.documents.get([job.id]) == [render(job)]


async def test_unfinished_jobs_are_announced_and_not_kept(cache: Cache, ear: Ear) -> None:
    await cache.documents.announce({"a": 2}, [], {})
    await ear.next()
    assert ear.heard == {"a": Wake(2, finished=False)}
    assert await cache.documents.get(["a"]) == [None]


async def test_whoever_listens_hears_all_ids_with_their_versions(cache: Cache, ear: Ear) -> None:
    job = finished_job(version=12)
    await cache.documents.announce({"a": 2, job.id: 12}, [render(job)], {})
    await ear.next()
    assert ear.heard == {"a": Wake(2, finished=False), job.id: Wake(12, finished=True)}


async def test_when_a_finish_is_heard_its_document_is_there(cache: Cache, ear: Ear) -> None:
    job = finished_job()
    announcing = asyncio.create_task(keep(cache, job))
    await ear.next()
    assert await cache.documents.get([job.id]) == [render(job)]
    await announcing


async def test_nothing_is_missed_from_the_moment_a_cache_says_that_it_listens(cache: Cache) -> None:
    for number in range(20):
        ear = Ear(cache)
        await until(lambda: cache.subscriptions.listening)
        await cache.documents.announce({"a": number}, [], {})
        await asyncio.wait_for(ear.next(), 5)
        assert ear.heard == {"a": Wake(number, finished=False)}
        await ear.close()


async def test_everybody_who_listens_is_told(cache: Cache, ear: Ear) -> None:
    others = [Ear(cache) for _ in range(3)]
    while not all(other.heard for other in others):
        await cache.documents.announce({"a": 1}, [], {})
        await asyncio.sleep(0.002)
    for other in others:
        await other.close()


async def noted(cache: Cache, *jobs: Job) -> None:
    await cache.documents.announce({}, [], {job.fingerprint or b"": job for job in jobs})


async def test_results_come_in_the_order_of_the_fingerprints_with_their_times(cache: Cache) -> None:
    first, second = finished_job(fingerprint=b"\x00" * 32), finished_job(fingerprint=b"\xff" * 32)
    await noted(cache, first, second)
    found = await cache.documents.find_results([b"\xff" * 32, b"unknown", b"\x00" * 32])
    assert found == [Result(second.id, AT.timestamp()), None, Result(first.id, AT.timestamp())]


async def test_a_newer_result_replaces_an_older_one(cache: Cache) -> None:
    older, newer = finished_job(fingerprint=PRINT), finished_job(fingerprint=PRINT, finished_at=LATER)
    await noted(cache, older)
    await noted(cache, newer)
    assert await cache.documents.find_results([PRINT]) == [Result(newer.id, LATER.timestamp())]


async def test_a_forgotten_document_is_gone_and_no_late_writer_brings_it_back(cache: Cache) -> None:
    job, other = finished_job(), finished_job()
    await keep(cache, job, other)
    await cache.documents.forget(job.id)
    await keep(cache, job)
    assert await cache.documents.get([job.id, other.id]) == [None, render(other)]


async def test_many_documents_are_forgotten_together_and_each_is_told(cache: Cache) -> None:
    jobs, heard = [finished_job() for _ in range(1_000)], set[str]()
    await keep(cache, *jobs)
    listening = asyncio.create_task(cache.subscriptions.listen_gone(heard.add))
    while "warm-up" not in heard:  # nothing says from when on it listens
        await cache.documents.forget("warm-up")
        await asyncio.sleep(0.002)
    await cache.documents.forget()
    await cache.documents.forget(*(job.id for job in jobs))
    await until(lambda: len(heard) == 1_001)
    assert heard == {"warm-up", *(job.id for job in jobs)}
    await keep(cache, *jobs)
    assert await cache.documents.get([job.id for job in jobs]) == [None] * 1_000
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_document_that_was_forgotten_before_it_came_is_not_kept(cache: Cache) -> None:
    job = finished_job()
    await cache.documents.forget(job.id)
    await keep(cache, job)
    assert await cache.documents.get([job.id]) == [None]


@pytest.mark.parametrize("topic", ["stop", "gone"])
async def test_who_listens_for_stops_or_deletions_hears_of_those_alone(cache: Cache, topic: str) -> None:
    heard: list[str] = []
    listen = cache.subscriptions.listen_stops if topic == "stop" else cache.subscriptions.listen_gone
    listening = asyncio.create_task(listen(heard.append))
    while "warm-up" not in heard:  # nothing says from when on it listens
        await (cache.documents.ask_stop if topic == "stop" else cache.documents.forget)("warm-up")
        await asyncio.sleep(0.002)
    await keep(cache, finished_job())
    for tell, job_id in (
        (cache.documents.ask_stop, "stop"),
        (cache.documents.forget, "gone"),
        (cache.documents.ask_stop, "stop"),
    ):
        await tell(job_id)
    await (cache.documents.ask_stop if topic == "stop" else cache.documents.forget)("last")
    await until(lambda: "last" in heard)
    assert {*heard} - {"warm-up"} == {topic, "last"}
    listening.cancel()
    await asyncio.wait([listening])


async def test_who_listens_for_pauses_looks_first_and_at_each_that_is_announced(cache: Cache) -> None:
    heard: list[bool] = []

    def look() -> None:
        heard.append(cache.subscriptions.hears_pauses)

    assert not cache.subscriptions.hears_pauses
    listening = asyncio.create_task(cache.subscriptions.listen_pauses(look))
    await until(lambda: cache.subscriptions.hears_pauses and heard)
    for _ in range(3):  # from here on none is missed
        heard.clear()
        await cache.documents.announce_pauses()
        await until(lambda: heard)
    await keep(cache, finished_job())
    await cache.documents.ask_stop("a")
    cache.leave()
    await cache.documents.announce_pauses()  # which is no error
    assert heard
    listening.cancel()
    await asyncio.wait([listening])
    assert not cache.subscriptions.hears_pauses


async def test_without_the_server_stops_are_for_nobody_and_nothing_is_forgotten(cache: Cache) -> None:
    cache.leave()
    await cache.documents.ask_stop("a")
    with pytest.raises(ServerAway):
        await cache.documents.forget("a")
    with pytest.raises(ServerAway):
        await cache.documents.find_results([PRINT])


async def test_listening_ends_when_it_is_cancelled(cache: Cache, ear: Ear) -> None:
    await ear.close()
    assert ear.task.cancelled()
    assert not cache.subscriptions.listening


async def test_a_cache_that_is_away_says_so(cache: Cache) -> None:
    cache.leave()
    with pytest.raises(ServerAway):
        await cache.documents.get(["a"])
    with pytest.raises(ServerAway):
        await keep(cache, finished_job())
