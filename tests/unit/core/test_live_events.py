"""Live events: told in the background, in order, bounded in bytes; what cannot be told is dropped and counted."""

from __future__ import annotations

from sluice.core.announcement import announce
from sluice.core.job import Job
from sluice.core.live_events import MOST_WAITING, ROWS, LiveEvents
from sluice.core.runtime.batching import OVERHEAD
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeCache, FakeEventPublisher
from tests.support.make_jobs import finished_job


class Scene:
    """Live events that are told through an announcement."""

    def __init__(self) -> None:
        self.publisher, self.events = FakeEventPublisher(), Events()
        self.telemetry = Telemetry(self.events)
        self.live = LiveEvents(self.publisher, self.telemetry)
        self.telemetry.jobs_changed = self.live.jobs_changed

    async def announce(self, *jobs: Job) -> None:
        await announce(FakeCache(), self.telemetry, jobs)


async def test_what_is_announced_is_told_in_order() -> None:
    scene, jobs = Scene(), [finished_job() for _ in range(3 * ROWS)]
    await scene.announce(*jobs)
    await scene.live.drain()
    assert [event.id for event in scene.publisher.published] == [f"{job.id}.3" for job in jobs]
    assert scene.events == [(Event.EVENTS_PUBLISHED, ROWS, {})] * 3


async def test_a_publisher_that_is_away_loses_them_and_holds_up_nothing() -> None:
    scene = Scene()
    scene.publisher.away = True
    await scene.announce(finished_job(), finished_job())
    await scene.live.drain()
    scene.publisher.away = False
    await scene.announce(finished_job())
    await scene.live.drain()
    assert scene.events.count(Event.EVENTS_DROPPED) == 2
    assert scene.events.count(Event.EVENTS_PUBLISHED) == len(scene.publisher.published) == 1
    assert scene.events.count(Event.DUTY_FAILED) == 0


async def test_what_waits_for_a_slow_publisher_is_bounded_in_bytes() -> None:
    scene = Scene()
    scene.publisher.open.clear()
    for _ in range(20):
        scene.live.jobs_changed([finished_job()] * 1_000)
    dropped = scene.events.count(Event.EVENTS_DROPPED)
    assert 0 < 20_000 - dropped <= ROWS + MOST_WAITING // OVERHEAD
    scene.publisher.open.set()
    await scene.live.drain()
    assert len(scene.publisher.published) == 20_000 - dropped


async def test_an_unforeseen_error_is_reported_and_ends_nothing() -> None:
    scene = Scene()
    scene.publisher.away = RuntimeError("unforeseen")
    await scene.announce(finished_job(state="unheard-of"), finished_job())
    await scene.live.drain()
    assert scene.events.count(Event.EVENTS_DROPPED) == 2
    assert [each["duty"] for each in scene.events.fields(Event.DUTY_FAILED)] == ["events", "events"]


async def test_nobody_is_told_where_it_is_off() -> None:
    scene = Scene()
    scene.telemetry.jobs_changed = None
    await scene.announce(finished_job())
    await scene.live.drain()
    assert scene.publisher.published == []
