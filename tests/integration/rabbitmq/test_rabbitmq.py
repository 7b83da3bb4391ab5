"""Publishing, consuming and acknowledging on a healthy broker."""

from __future__ import annotations

import asyncio

import pytest

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker, queues
from sluice.core.envelope import decode
from sluice.core.lanes import Lane, queue_name
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Consumer,
    Events,
    message,
    operator,
    proxied,
    publish_until_confirmed,
    running,
    until_ready,
)
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(60)


async def test_a_published_message_is_delivered_with_its_ids_lane_and_priority(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker:
        await until_ready(broker)
        sent = {priority: message(lane, priority, ids=3) for priority in lane.queues}
        for each in sent.values():
            await broker.publish(each)
        await until(lambda: len(consumer.deliveries) == len(sent))
        for delivery in consumer.deliveries:
            assert decode(delivery.body) == list(sent[delivery.priority].ids)
            assert delivery.lane == lane.name  # type: ignore[attr-defined]  # more than the port promises


async def test_a_publish_returns_only_when_the_message_is_in_the_queue_and_none_is_empty_without_consumers(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        await asyncio.gather(*(broker.publish(message(lane, "low")) for _ in range(50)))
        assert await broker.depths() == {queue_name(lane.name, "low"): 50}


async def test_two_programs_with_the_same_lanes_agree_on_the_queues(rabbitmq: RabbitMQ, lane: Lane) -> None:
    events, consumer = Events(), Consumer()
    async with running(rabbitmq.url, lane, None, events) as api:
        await until(lambda: api.connected)
        async with running(rabbitmq.url, lane, consumer, events) as work:
            await until_ready(work)
            await api.publish(message(lane))
            await until(lambda: consumer.deliveries)
    assert events == []


async def test_a_queue_that_exists_in_another_form_is_reported_and_not_worked_around(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    events = Events()
    async with operator(rabbitmq) as channel:
        await channel.queue_declare(lane.queues["low"], durable=True)  # classic, no dead letters
        async with running(rabbitmq.url, lane, None, events) as broker:
            await until(lambda: events)
            assert "PRECONDITION_FAILED" in events[0][1]["why"]
            assert not broker.connected
            await channel.queue_delete(lane.queues["low"])
            await until(lambda: broker.connected)


async def test_acknowledgements_of_one_turn_travel_as_one_frame(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await until_ready(broker)
        await asyncio.gather(*(broker.publish(message(lane)) for _ in range(10)))
        await until(lambda: len(consumer.deliveries) == 10)
        for delivery in reversed(consumer.deliveries[:8]):
            delivery.acknowledge()
        await until(lambda: proxy.counted)
        await broker.stop_consuming()
        proxy.reset()  # whatever was not acknowledged by then comes again
    assert proxy.counted == 1
    again = Consumer()
    async with running(rabbitmq.url, lane, again):
        await until(lambda: again.ids)
        await until(lambda: len(again.ids) == 2)
    assert again.ids == consumer.ids[8:]


async def test_what_is_behind_an_unfinished_delivery_is_not_acknowledged_before_it(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await until_ready(broker)
        for _ in range(5):
            await broker.publish(message(lane))
        await until(lambda: len(consumer.deliveries) == 5)
        for delivery in (*consumer.deliveries[:2], *consumer.deliveries[3:]):
            delivery.acknowledge()
        await until(lambda: proxy.counted == 1)
        first = list(consumer.ids)
        proxy.reset()
        await until(lambda: len(consumer.deliveries) == 8)
        assert consumer.ids[5:] == first[2:]


async def test_a_delivery_of_a_lost_channel_is_void(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer) as broker:
        await until_ready(broker)
        for _ in range(3):
            await broker.publish(message(lane))
        await until(lambda: len(consumer.deliveries) == 3)
        proxy.reset()
        await until(lambda: len(consumer.deliveries) == 6)
        for delivery in consumer.deliveries[:3]:  # the same tags as on the new channel
            delivery.acknowledge()
        proxy.reset()
        await until(lambda: len(consumer.deliveries) == 9)
        assert consumer.ids[:3] == consumer.ids[3:6] == consumer.ids[6:]
        assert proxy.counted == 0


async def test_after_consuming_was_stopped_what_is_in_hand_can_still_be_acknowledged(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer = Consumer(hold=True)
    async with running(rabbitmq.url, lane, consumer) as broker:
        await until_ready(broker)
        await broker.publish(message(lane))
        await until(lambda: consumer.deliveries)
        await broker.stop_consuming()
        assert not broker.consuming
        later = await publish_until_confirmed(broker, lane)
        consumer.deliveries[0].acknowledge()
        consumer.deliveries[0].acknowledge()
    assert len(consumer.deliveries) == 1
    again = Consumer()
    async with running(rabbitmq.url, lane, again):
        await until(lambda: again.ids)
    assert again.ids == [later]


async def test_what_rabbitmq_gives_up_arrives_as_a_dead_letter(rabbitmq: RabbitMQ, lane: Lane) -> None:
    dead = Consumer()
    broker = Broker(rabbitmq.url, "test", [lane], Telemetry(), BUDGET_S)
    broker.consume_dead(dead)
    await broker.start()
    await until_ready(broker)
    new = await publish_until_confirmed(broker, lane)
    async with operator(rabbitmq) as channel:
        got = await channel.basic_get(lane.queues["normal"])
        assert got.delivery_tag is not None
        await channel.basic_reject(got.delivery_tag, requeue=False)
        await until(lambda: dead.ids == [new])
    await broker.close()


@pytest.mark.parametrize(
    ("lane", "expected"),
    [
        (Lane("default", 128, 16), {"high": 16, "normal": 8, "low": 2, "overflow": 2}),
        (Lane("heavy", 2, 1), {"high": 8, "normal": 4, "low": 1, "overflow": 1}),
        (Lane("one", 1, 100), {"high": 8, "normal": 4, "low": 1, "overflow": 1}),
        (Lane("wide", 1_000, 1), {"high": 2_000, "normal": 1_000, "low": 250, "overflow": 250}),
        (Lane("widest", 100_000, 1), {"high": 65_535, "normal": 65_535, "low": 25_000, "overflow": 25_000}),
    ],
)
def test_messages_in_hand_are_as_many_as_the_weights_say(lane: Lane, expected: dict[str, int]) -> None:
    assert queues.prefetch(lane) == expected


def test_no_queue_asks_for_features_that_differ_between_releases() -> None:
    for name in queues.names([Lane("default", 1, 1)]):
        assert set(queues.arguments(name)) <= {
            "x-queue-type",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
        }
        assert queues.arguments(name)["x-queue-type"] == "quorum"
