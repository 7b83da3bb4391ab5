"""Lanes that are paused because they are full: RabbitMQ's time-outs, lost connections, and several consumers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from consumer.intake import pausing
from consumer.intake.lane_buffer import LaneBuffer
from consumer.intake.pausing import LanePauses
from consumer.lane_slots import LaneSlots
from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker
from sluice.core.lanes import Lane, queue_name
from sluice.core.ports import Delivery
from sluice.core.runtime.tasks import cancel_and_wait
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Consumer,
    Events,
    message,
    proxied,
    publish_until_confirmed,
    running,
    until_ready,
)
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(60)

TIMEOUT_MS = 2_000


class WorkingLane:
    """The intake of a consumer with one slot: `begun` has the ids whose jobs were begun; they end when a test says so."""

    def __init__(self) -> None:
        self.slots = LaneSlots(Lane("unused", 1, 1))
        self.buffer = LaneBuffer(self.slots)
        self.begun: list[str] = []
        self.came = 0

    def deliver(self, delivery: Delivery) -> None:
        """Take in one message."""
        self.came += 1
        self.buffer.add(delivery)

    async def serve(self) -> None:
        """Begin as many as there are slots."""
        while taken := await self.buffer.take():
            self.begun += taken
            for pending in [each for several in taken.values() for each in several]:
                pending.account_for_one()


@asynccontextmanager
async def working(url: str, lane: Lane, events: Events | None = None) -> AsyncIterator[WorkingLane]:
    """A consumer that pauses this lane when it is full."""
    here = WorkingLane()
    broker = Broker(url, "test", [lane], Telemetry(*([events] if events is not None else [])), BUDGET_S)
    source = broker.consume(lane, here.deliver)
    pauses = LanePauses(source, here.buffer, here.slots)
    tasks = [asyncio.create_task(here.serve()), asyncio.create_task(pauses.watch())]
    await broker.start()
    await until_ready(broker)
    try:
        yield here
    finally:
        await cancel_and_wait(tasks)
        await broker.close()


@pytest.fixture
def impatient(rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Iterator[RabbitMQ]:
    """A RabbitMQ that ends channels with a message that is not acknowledged in 2 s, and consumers that look more often."""
    monkeypatch.setattr(pausing, "LOOK_S", 0.4)
    _set(rabbitmq, consumer_timeout=TIMEOUT_MS, channel_tick_interval=200)
    yield rabbitmq
    _set(rabbitmq, consumer_timeout=1_800_000, channel_tick_interval=60_000)


def _set(rabbitmq: RabbitMQ, **settings: int) -> None:
    calls = (f"application:set_env(rabbit, {name}, {value})" for name, value in settings.items())
    rabbitmq.control("eval", ", ".join(calls) + ".")


async def test_a_message_that_is_held_too_long_costs_the_connection(impatient: RabbitMQ, lane: Lane) -> None:
    consumer, events = Consumer(hold=True), Events()
    async with running(impatient.url, lane, consumer, events) as broker:
        await until_ready(broker)
        await broker.publish(message(lane))
        await until(lambda: events)
    assert "consumer lost" in events[0][1]["why"]


async def test_no_message_is_held_too_long_while_jobs_run_for_longer(impatient: RabbitMQ, lane: Lane) -> None:
    events = Events()
    async with working(impatient.url, lane, events) as here, running(impatient.url, lane) as publisher:
        await until(lambda: publisher.connected)
        sent = [message(lane, priority) for priority in ("normal", "low") for _ in range(5)]
        for each in sent:
            await publisher.publish(each)
        await asyncio.sleep(3 * TIMEOUT_MS / 1_000)  # the time that nothing may happen in
        assert (len(here.begun), events) == (1, [])
        for ended in range(1, 10):
            here.slots.free()
            await until(lambda ended=ended: len(here.begun) == ended + 1, within_s=5)  # type: ignore[misc]  # a default
    assert sorted(here.begun) == sorted(job_id for each in sent for job_id in each.ids)
    assert here.came < 2 * len(sent)
    assert events == []


async def test_a_message_goes_to_the_consumer_that_has_room_first(impatient: RabbitMQ, lane: Lane) -> None:
    async with (
        working(impatient.url, lane) as one,
        working(impatient.url, lane) as other,
        running(impatient.url, lane) as publisher,
    ):
        await until(lambda: publisher.connected)
        for _ in range(4):
            await publisher.publish(message(lane))
        await until(lambda: one.begun and other.begun)
        await asyncio.sleep(3 * pausing.LOOK_S)  # both have looked
        for begun in (2, 3):
            other.slots.free()
            await until(lambda begun=begun: len(other.begun) == begun, within_s=5)  # type: ignore[misc]  # a default
        assert len(one.begun) == 1


async def test_a_paused_lane_stays_so_over_a_lost_connection_and_is_not_taken_for_dead(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer()
    async with proxied(rabbitmq) as (proxy, url):
        broker = Broker(url, "test", [lane], Telemetry(), BUDGET_S, watch_s=0.1)
        source = broker.consume(lane, consumer)
        await broker.start()
        await until_ready(broker)
        await source.pause()
        proxy.reset()
        await until(lambda: proxy.accepted == 4)
        await until_ready(broker)
        new = await publish_until_confirmed(broker, lane)
        await asyncio.sleep(0.5)  # five times the seconds after which a silent queue is looked at
        assert (consumer.ids, proxy.accepted) == ([], 4)
        assert repr(source) == f"<LaneSource {lane.name} paused>"
        assert await source.fetch("normal")
        assert consumer.ids == [new]
        await broker.close()


async def test_a_queue_that_was_fetched_from_in_vain_counts_as_empty_while_nobody_consumes_it(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    """Else what a busy fleet has lost would be found only once its lanes are no longer full."""
    broker, high, normal = Broker(rabbitmq.url, "test", [lane], Telemetry(), BUDGET_S), *_names(lane)
    source = broker.consume(lane, Consumer())
    await broker.start()
    await until_ready(broker)
    await source.pause()
    await publish_until_confirmed(broker, lane)
    assert high not in await broker.depths()
    assert not await source.fetch("high")
    found = await broker.depths()
    assert (found[high], found[normal]) == (0, 1)
    await source.resume()
    await broker.close()


def _names(lane: Lane) -> tuple[str, str]:
    return queue_name(lane.name, "high"), queue_name(lane.name, "normal")


async def test_a_fetch_over_a_lost_connection_finds_nothing_and_does_no_harm(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer()
    async with proxied(rabbitmq) as (proxy, url):
        broker = Broker(url, "test", [lane], Telemetry(), BUDGET_S)
        source = broker.consume(lane, consumer)
        await broker.start()
        await until_ready(broker)
        await source.pause()
        proxy.reset()
        assert not await source.fetch("normal")
        await source.resume()
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: consumer.ids == [new])
        await broker.close()
