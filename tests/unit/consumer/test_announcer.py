"""What this consumer has committed is announced in the background, as the record has it."""

from __future__ import annotations

from consumer.announcer import MOST_WAITING, Announcer
from sluice.core.document import render
from sluice.core.job import JobState
from sluice.core.runtime.batching import OVERHEAD
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import FaultyStore, Gate
from tests.support.make_jobs import AT
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import a_job


class Scene:
    """An announcer over a record and a cache in memory."""

    def __init__(self) -> None:
        self.record, self.cache, self.events = FakeRecord(), FakeCache(), Events()
        self.announcer = Announcer(self.record, self.cache, Telemetry(self.events))


async def test_jobs_that_changed_are_announced_together() -> None:
    scene, jobs = Scene(), [a_job(kinds.echo), a_job(kinds.echo)]
    scene.announcer.jobs_changed(*jobs)
    scene.announcer.jobs_changed()
    await scene.announcer.drain()
    assert scene.cache.announced == [{job.id: 2 for job in jobs}]
    assert scene.cache.documents == {}


async def test_an_announcement_carries_a_bounded_number_of_bytes() -> None:
    scene = Scene()
    result = b'"%01000000d"' % 0
    done = {"state": JobState.SUCCEEDED, "finished_at": AT, "result": result}
    jobs = [a_job(kinds.echo, **done) for _ in range(9)]
    scene.announcer.jobs_changed(*jobs, a_job(kinds.echo))
    await scene.announcer.drain()
    assert sorted(map(len, scene.cache.announced)) == [1, 1, 4, 4]
    assert len(scene.cache.documents) == 9


async def test_documents_that_wait_for_a_slow_redis_are_bounded_in_bytes() -> None:
    scene, slow = Scene(), Gate()
    cache = FaultyStore(scene.cache)
    cache.script["announce"].append(slow)
    announcer = Announcer(scene.record, cache.port, Telemetry(scene.events))
    done = {"state": JobState.SUCCEEDED, "finished_at": AT, "result": b'"%01000000d"' % 0}
    announcer.jobs_changed(a_job(kinds.echo, **done))
    await slow.reached.wait()
    announcer.jobs_changed(*(a_job(kinds.echo, **done) for _ in range(20)))
    lost = scene.events.count(Event.ANNOUNCE_FAILED)
    assert 20 - lost == -(-MOST_WAITING // (1_000_002 + OVERHEAD))
    slow.open.set()
    await announcer.drain()
    assert len(scene.cache.documents) == 21 - lost


async def test_a_cancelled_job_is_shown_as_the_record_has_it() -> None:
    scene = Scene()
    job = a_job(kinds.echo, state=JobState.CANCELLED, finished_at=AT)
    scene.record.add(job, cancel_requested_at=AT)
    scene.announcer.jobs_changed(job)
    await scene.announcer.drain()
    assert scene.cache.documents == {job.id: render(scene.record.jobs[job.id])}


async def test_progress_that_was_stored_is_announced_without_a_document() -> None:
    scene = Scene()
    scene.announcer.versions_changed({"some-job": 4})
    await scene.announcer.drain()
    assert (scene.cache.announced, scene.cache.documents) == ([{"some-job": 4}], {})


async def test_without_redis_only_the_announcement_is_lost() -> None:
    scene = Scene()
    scene.cache.away = True
    scene.announcer.jobs_changed(a_job(kinds.echo))
    scene.announcer.versions_changed({"some-job": 4})
    await scene.announcer.drain()
    assert scene.events.count(Event.ANNOUNCE_FAILED) == 2
