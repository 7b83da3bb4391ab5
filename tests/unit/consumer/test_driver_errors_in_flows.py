"""Whatever a server raises at whatever call of the consumer: no task ends, nothing is lost, and all works once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest

from consumer.intake.polling import FallbackPoller
from consumer.keeper.dead_letters import DeadLetters
from consumer.keeper.timetable import KeeperPorts, Timetable
from sluice.adapters.postgres.pool import translated
from sluice.core.errors import BadRow, Overloaded, ServerAway, ServerRefused, TryAgain
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.driver_errors import few_postgres_errors
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import Events, FakeMessagePublisher
from tests.support.faulty_store import Step, lost, refused
from tests.support.waiting import until
from tests.unit.consumer.in_memory_consumer import InMemoryConsumer
from tests.unit.consumer.make_deliveries import FakeDelivery, job_ids
from tests.unit.consumer.running_lease import running

RECORD = [*map(translated, few_postgres_errors()), Overloaded(), KeyError("a mistake of ours")]
"""What the adapter makes of an error of each class of SQLSTATEs and of the driver's own."""
CACHE = [ServerAway("redis"), ServerRefused("redis", "OOM"), KeyError("a mistake of ours")]


@asynccontextmanager
async def failing(record: FakeKeeperStore, error: Exception) -> AsyncIterator[None]:
    """Let every call of the record fail so, until at least one has."""
    record.away, before = error, record.refusals
    yield
    await until(lambda: record.refusals > before)
    record.away = False


async def succeeded(consumer: InMemoryConsumer, job_id: str) -> None:
    """Return once this job has."""
    await until(lambda: consumer.state(job_id) == "succeeded", 5)


async def acknowledged(delivery: FakeDelivery) -> None:
    """Return once it is."""
    await until(lambda: delivery.acknowledged, 5)


async def test_a_claim_that_fails_is_made_later(consumer: InMemoryConsumer) -> None:
    for error in RECORD:
        for name in ("claim", "recover_lost_claims", "claim"):
            consumer.script[name].append(refused(error))
        job_id = consumer.job()
        delivery = await consumer.bring_settled(job_id)
        assert (consumer.state(job_id), delivery.acknowledged) == ("succeeded", 1)
    assert not consumer.serving.done()


async def test_a_claim_whose_reply_was_lost_is_found(consumer: InMemoryConsumer) -> None:
    for error in RECORD:
        consumer.script["claim"].append(lost(error))
        job_id = consumer.job()
        await consumer.bring_settled(job_id)
        assert consumer.state(job_id) == "succeeded"
    assert not consumer.serving.done()


async def test_ids_that_cannot_be_accounted_for_hold_up_nothing(consumer: InMemoryConsumer) -> None:
    for number, error in enumerate(RECORD):
        consumer.script["defer_unclaimed"].append(lost(error))
        job_id = consumer.job()
        await consumer.bring_settled(*job_ids(1, start=number), job_id)
        assert consumer.state(job_id) == "succeeded"
    assert (consumer.slots.busy, consumer.serving.done()) == (0, False)


@pytest.mark.parametrize("step", [refused, lost])
async def test_an_ending_is_written_sooner_or_later(
    consumer: InMemoryConsumer, step: Callable[[Exception], Step]
) -> None:
    for error in RECORD:
        if step is refused or not isinstance(error, BadRow | TryAgain):  # after these nothing was written
            consumer.script["settle"].append(step(error))
        consumer.script["look_up"].append(refused(error))
        job_id = consumer.job()
        await consumer.bring_settled(job_id)
        assert consumer.state(job_id) == "succeeded"
        consumer.script["look_up"].clear()
    assert consumer.events.count(Event.STALE) == 0


async def test_an_announcement_that_fails_costs_nothing_else(consumer: InMemoryConsumer) -> None:
    for error in CACHE:
        consumer.cache.away, before = error, consumer.events.count(Event.ANNOUNCE_FAILED)
        job_id = consumer.job()
        await consumer.bring_settled(job_id)
        consumer.announcer.versions_changed({job_id: 7})
        await consumer.announcer.drain()
        assert consumer.state(job_id) == "succeeded"
        assert consumer.events.count(Event.ANNOUNCE_FAILED) > before
    consumer.cache.away = False
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert job_id in consumer.cache.documents


async def test_more_announcements_than_can_wait_are_dropped_and_counted(consumer: InMemoryConsumer) -> None:
    def refuse(_: object) -> None:
        raise Overloaded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consumer.announcer._jobs, "put", refuse)
        job_id = consumer.job()
        await consumer.bring_settled(job_id)
    assert consumer.state(job_id) == "succeeded"
    assert consumer.events.count(Event.ANNOUNCE_FAILED) == 1


async def test_a_cancelled_job_that_cannot_be_read_back_is_left_out(consumer: InMemoryConsumer) -> None:
    for error in RECORD:
        job = consumer.record.jobs[consumer.job()]._replace(state="cancelled")
        consumer.script["look_up"].append(lost(error))
        consumer.announcer.jobs_changed(job)
        await consumer.announcer.drain()
        assert consumer.cache.announced[-1] == {job.id: job.version}


async def test_polling_goes_on(consumer: InMemoryConsumer) -> None:
    poller = FallbackPoller(
        consumer.claims, consumer.execution, consumer.telemetry, lambda: 99, 1, watch_s=0.001, rest_s=(0.001, 0.002)
    )  # fmt: skip
    tasks = [asyncio.create_task(each) for each in (poller.watch(), poller.serve(consumer.slots))]
    for error in RECORD:
        for name in ("pull", "recover_lane_claims"):
            consumer.script[name].append(refused(error))
        job_id = consumer.job()
        poller.call()
        await succeeded(consumer, job_id)
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_dead_letter_is_forgotten_although_its_jobs_cannot_be_offered() -> None:
    record, events = FakeKeeperStore(), Events()
    letters = DeadLetters(record, Telemetry(events))
    for error in RECORD:
        async with failing(record, error):
            delivery = FakeDelivery(job_ids(1))
            letters.deliver(delivery)
            await acknowledged(delivery)


async def test_the_lease_is_renewed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as scene:
        await scene.renewed()
        for error in RECORD:
            scene.record.away = error
            await scene.failed()
            scene.record.away = False
            await scene.renewed()
        assert not any(task.done() for task in scene.lease._tasks)


class Refusing:
    """A port of which every call fails."""

    configured = connected = is_steady = True
    unconfirmed = 0

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        async def refuse(*_: object) -> None:
            raise self._error

        return refuse


@contextmanager
def refusing_keeper(error: Exception) -> Iterator[tuple[Any, Events]]:
    """The keeper with all of its duties, over servers that refuse everything."""
    settings = Settings(postgres_url="p", redis_url="r", key_pepper="0123456789abcdef")
    events, port = Events(), Refusing(error)
    telemetry = Telemetry(events)
    settings = settings.model_copy(update={"verify_s": 0})
    timetable = Timetable(KeeperPorts._make([port] * 11 + [lambda: True, port.depths]), settings, telemetry)
    yield timetable.make_keeper(cast(Any, port), {}, cast(Any, port)), events


async def test_no_duty_ends_the_keeper() -> None:
    for error in RECORD:
        with refusing_keeper(error) as (keeper, events):
            assert await keeper.look() == 1
            for name in keeper.duties:
                await keeper._do(name)
            assert repr(keeper) == "<Keeper at rest>"
        named = {fields["duty"] for fields in events.fields(Event.DUTY_FAILED)}
        loud = isinstance(error, BadRow | KeyError | ServerRefused)
        assert named - {"look"} == (set(keeper.duties) if loud else set())
        assert ("look" in named) is isinstance(error, BadRow | KeyError)


async def test_messages_that_cannot_be_published_or_forgotten_stay_in_the_outbox() -> None:
    events, lane = Events(), {"default": Lane("default", 4, 16)}
    foreseen = [error for error in RECORD if not isinstance(error, KeyError)]
    publishers = []
    for error in (None, *foreseen):
        broker, record = FakeMessagePublisher(), FakeKeeperStore()
        broker.away, record.away = error is None, error or False
        publishers.append(OutboxPublisher(broker, record, lane, Telemetry(events)))
        publishers[-1].send([Message(1, "default", "normal", tuple(job_ids(1)))])
    await asyncio.gather(*(each.drain() for each in publishers))
    assert events.count(Event.DISPATCH_DEFERRED) == len(publishers)
