"""When clients are told to ask again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.http.retry_after import RetryAfterAdvisor, retry_soon
from sluice.core.document import Document, render
from sluice.core.job import Job, as_accepted
from sluice.core.queue_stats import LaneStatistics, Times, write_statistics
from tests.support.fakes import FakeCache
from tests.support.make_jobs import AT, new_job
from tests.support.waiting import until
from tests.unit.api.in_memory_api import Clock

NOW = AT.timestamp()
IDS = [f"01900000-0000-7000-8000-00000000000{digit}" for digit in "0123456789abcdef"]


def lane(queued: int = 0, slots: int = 10, seconds: float = 0.01, oldest_s: float = 1) -> LaneStatistics:
    """A lane in which every run takes so long."""
    times = Times(runs=9, mean_s=seconds, p50_s=seconds, p90_s=seconds)
    return LaneStatistics(
        queued=queued, running=0, oldest_queued_s=oldest_s, oldest_undispatched_s=0, slots=slots, times=times,
        counted_at=NOW,
    )  # fmt: skip


def a_job(**changes: Any) -> Job:
    """A job that was just queued."""
    return as_accepted(new_job(), AT)._replace(**changes)


class Scene:
    """An advisor, and a clock to move."""

    def __init__(self, **lanes: LaneStatistics) -> None:
        self.clock = Clock()
        self.clock.now = NOW
        self.advisor = RetryAfterAdvisor(self.clock)
        self.advisor.learn(lanes)

    def told(self, **changes: object) -> list[int]:
        """What is told of jobs that differ in their ids alone, without doubles, in order."""
        documents = [render(a_job(id=job_id, **changes)) for job_id in IDS]
        return sorted({int(self.advisor(document)[1]) for document in documents})


def test_where_nothing_is_known_it_is_soon() -> None:
    assert Scene().told() == [1, 2]
    assert Scene(heavy=lane(queued=10_000, seconds=60)).told() == [1, 2]


def test_an_idle_and_quick_lane_is_asked_soon() -> None:
    assert Scene(default=lane()).told() == [1, 2]


def test_a_backlog_is_waited_for_by_its_length_and_the_time_of_a_run() -> None:
    told = Scene(default=lane(queued=100, seconds=1)).told()
    assert told[0] >= 9
    assert told[-1] <= 14
    assert len(told) >= 3, "pollers must part"


def test_nobody_is_told_more_than_a_minute_and_all_are_told_apart() -> None:
    for seconds in (3, 300, 3_000_000):
        told = Scene(default=lane(queued=100_000, seconds=seconds)).told()
        assert told[-1] <= 60
        assert told[0] >= 50
        assert len(told) >= 4


def test_what_has_waited_already_is_not_waited_for_again() -> None:
    scene = Scene(default=lane(queued=200, seconds=1))
    first = scene.told()
    scene.clock.now += 15
    assert scene.told()[-1] < first[0]
    scene.clock.now += 10
    assert scene.told() == [2, 3]


def test_what_is_long_is_waited_for_in_halves() -> None:
    told = Scene(default=lane(queued=800, slots=8, seconds=1)).told()
    assert told[0] >= 47
    assert told[-1] <= 57


def test_jobs_that_come_between_two_counts_stand_behind_each_other() -> None:
    scene = Scene(default=lane(slots=1, seconds=1))
    scene.clock.now += 0.5
    told = [
        int(scene.advisor(render(a_job(id=job_id, queued_at=AT + timedelta(seconds=0.5))))[1])
        for job_id in IDS
    ]
    assert told[0] <= 2
    assert told[-1] >= 12
    assert scene.told(queued_at=AT + timedelta(seconds=0.5))[-1] <= 2, "they are not counted again"
    scene.advisor.learn({"default": lane(slots=1, seconds=1)})
    assert int(scene.advisor(render(a_job(id=IDS[0], queued_at=AT + timedelta(seconds=0.5))))[1]) <= 2


def test_a_job_that_takes_longer_than_was_estimated_is_asked_for_ever_less_often() -> None:
    scene = Scene(default=lane())
    assert scene.told(state="running", started_at=AT) == [1, 2]
    scene.clock.now += 80
    assert 7 <= scene.told(state="running", started_at=AT)[0] <= 8
    scene.clock.now += 800
    assert scene.told(state="running", started_at=AT)[-1] <= 60


def test_a_running_job_has_no_queue_before_it() -> None:
    scene = Scene(default=lane(queued=100_000, seconds=10))
    assert 8 <= scene.told(state="running", started_at=AT)[0] <= 10
    scene.clock.now += 9
    assert scene.told(state="running", started_at=AT) == [1, 2]


def test_a_lane_that_nobody_serves_is_waited_for_as_long_as_its_oldest_job() -> None:
    assert Scene(default=lane(queued=3, slots=0, oldest_s=12)).told()[0] >= 10


def test_a_job_whose_time_is_known_is_asked_for_then() -> None:
    for scene in (Scene(), Scene(default=lane())):
        scene.clock.now -= 12
        told = scene.told(state="scheduled", run_at=AT, queued_at=None)
        assert told[0] >= 10
        assert told[-1] <= 16
        scene.clock.now += 11.5
        assert scene.told(state="scheduled", run_at=AT, queued_at=None) == [1, 2]
        scene.clock.now -= 1_000
        assert scene.told(state="scheduled", run_at=AT, queued_at=None)[-1] <= 60


def test_a_clock_that_is_behind_that_of_the_record_makes_nobody_wait_longer() -> None:
    scene = Scene(default=lane(queued=50, seconds=1))
    usual = scene.told()
    scene.clock.now -= 3_600
    assert scene.told() == usual


def test_finished_jobs_say_nothing_of_lanes() -> None:
    document = render(a_job(state="succeeded", finished_at=AT, result=b"{}"))
    assert (document.lane, document.since) == ("", 0.0)


def test_a_document_without_its_times_is_asked_for_soon() -> None:
    bare = Document(IDS[0], "acme", 1, "queued", 0, 0, b"{}", "default")
    assert Scene(default=lane(queued=100, seconds=1)).advisor(bare) == retry_soon(bare)
    assert render(a_job(state="running", started_at=None)).since == 0.0


async def test_it_follows_what_is_put_up_and_forgets_it_without_redis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, scene = FakeCache(), Scene()
    following = asyncio.create_task(scene.advisor.follow(cache, every_s=0.001))
    await cache.post_statistics(write_statistics({"default": lane(queued=1_000, seconds=1)}), 60)
    await until(lambda: scene.told()[0] > 2)
    cache.away = True
    await until(lambda: scene.told() == [1, 2])
    cache.away = False
    await until(lambda: scene.told()[0] > 2)
    await cache.post_statistics(b"not ours", 60)
    await until(lambda: scene.told() == [1, 2])
    cache.statistics = None
    assert not following.done()
    following.cancel()
    await asyncio.wait([following])
