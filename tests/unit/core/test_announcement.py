"""Announcing: waiters are woken, finished documents are kept, and Redis may be away."""

from __future__ import annotations

from datetime import UTC, datetime

from sluice.core.announcement import announce
from sluice.core.document import render
from sluice.core.job import Job, as_accepted
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import new_job

AT = datetime(2026, 1, 2, tzinfo=UTC)


def queued() -> Job:
    return as_accepted(new_job(), AT)


def finished() -> Job:
    return queued()._replace(state="succeeded", version=3, finished_at=AT, result=b"{}")


async def test_all_are_woken_and_the_finished_ones_are_kept() -> None:
    cache, waiting, done = FakeCache(), queued(), finished()
    documents = await announce(cache, Telemetry(), iter([waiting, done]))
    assert documents == [render(done)]
    assert cache.documents == {done.id: render(done)}
    assert cache.announced == [{waiting.id: 1, done.id: 3}]


async def test_further_ids_are_woken_with_their_versions() -> None:
    cache, job = FakeCache(), queued()
    assert await announce(cache, Telemetry(), [job], {"other": 7}) == []
    assert cache.announced == [{job.id: 1, "other": 7}]


async def test_nothing_is_sent_for_nothing() -> None:
    cache = FakeCache()
    assert await announce(cache, Telemetry(), [], {}) == []
    assert cache.announced == []


async def test_without_redis_the_documents_are_rendered_all_the_same_and_the_loss_is_counted() -> None:
    cache, events, done = FakeCache(), Events(), finished()
    cache.away = True
    assert await announce(cache, Telemetry(events), [done, queued()]) == [render(done)]
    assert events == [(Event.ANNOUNCE_FAILED, 2, {})]
