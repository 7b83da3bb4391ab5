"""The connection to a broker that is killed, frozen, wiped, blocked or cut off always comes back."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import aiormq
import pytest

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker, deliveries, publishing, queues
from sluice.adapters.rabbitmq.publishing import Publishing
from sluice.adapters.rabbitmq.timeouts import NoAnswer
from sluice.core.errors import ServerAway
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Event
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
    until_refused,
)
from tests.support.waiting import Stopwatch, until


async def test_messages_survive_the_broker_being_killed_and_both_sides_come_back_by_themselves(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events = Consumer(), Events()
    async with running(rabbitmq.url, lane) as publisher:
        await until(lambda: publisher.connected)
        await until(lambda: has_on_disk(rabbitmq, lane))
        kept = await publish_until_confirmed(publisher, lane)
        await asyncio.to_thread(rabbitmq.kill)
        async with running(rabbitmq.url, lane, consumer, events) as broker:
            await until(lambda: Event.SERVER_AWAY in events.names)
            with pytest.raises(ServerAway):
                await broker.publish(message(lane))
            with pytest.raises(ServerAway):
                await broker.ping(1)
            with pytest.raises(ServerAway):
                await broker.depths()
            await asyncio.to_thread(rabbitmq.start)
            await until_ready(broker)
            await broker.ping(1)
            new = await publish_until_confirmed(publisher, lane)
            await until(lambda: {kept, new} <= set(consumer.ids))
        assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK]
        assert {fields["server"] for _, fields in events} == {"rabbitmq"}


def has_on_disk(rabbitmq: RabbitMQ, lane: Lane) -> bool:
    """Tell whether the broker has written down where the files of the lane's queues are; it does so every half second."""
    (index,) = rabbitmq.data.glob("*/quorum/*/names.dets")
    return all(name.encode() in index.read_bytes() for name in lane.queues.values())


async def test_queues_that_a_killed_broker_cannot_read_any_more_are_replaced(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "CONSUME_S", 0.5)
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker:
        await until(lambda: broker.connected)
        rabbitmq.kill()
        await asyncio.to_thread(rabbitmq.start)
        new = await publish_until_confirmed(broker, lane, timeout_s=75)
        await until(lambda: new in consumer.ids)
        await until_ready(broker)


async def depth_of(broker: Broker, queue: str) -> int:
    """Return how many messages a queue has; none if it was just deleted, and is not declared again."""
    try:
        return (await broker.depths()).get(queue, 0)
    except ServerAway:
        return 0


@pytest.mark.parametrize(("hosts", "left"), [(1, 0), (2, 1)])
async def test_a_queue_that_does_not_answer_is_replaced_unless_another_node_may_have_it(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch, hosts: int, left: int
) -> None:
    tried: list[str] = []

    async def no_answer(self: deliveries.QueueConsumer) -> None:
        tried.append(self.source.queue)
        raise NoAnswer("rabbitmq", "no answer")

    here = f"127.0.0.1:{rabbitmq.port}"
    url = rabbitmq.url.replace(here, ",".join([here] * hosts))
    async with running(rabbitmq.url, lane) as publisher:
        await until(lambda: publisher.connected)
        await publish_until_confirmed(publisher, lane)
        monkeypatch.setattr(deliveries.QueueConsumer, "consume", no_answer)
        monkeypatch.setattr(queues, "WEIGHTS", {"normal": 1})  # only the queue that has the message
        async with running(url, lane, Consumer()):
            await until(lambda: len(tried) >= 4)
        assert await depth_of(publisher, lane.queues["normal"]) == left


async def test_a_broker_whose_disk_was_wiped_gets_its_queues_back(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker:
        await until_ready(broker)

        def wipe() -> None:
            rabbitmq.kill()
            rabbitmq.wipe()
            rabbitmq.start()

        await asyncio.to_thread(wipe)
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids)


async def test_a_frozen_broker_fails_every_publish_in_time_and_is_found_again_after_the_thaw(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events, tried = Consumer(), Events(), []
    async with running(rabbitmq.url, lane, consumer, events) as broker, Stopwatch.running() as watch:
        await until_ready(broker)

        async def relay() -> None:
            while True:
                began, on_the_watch = time.monotonic(), watch.seconds
                with suppress(ServerAway):
                    await broker.publish(message(lane))
                tried.append((time.monotonic() - began, watch.seconds - on_the_watch))
                await asyncio.sleep(0.01)

        relays = [asyncio.create_task(relay()) for _ in range(5)]
        rabbitmq.freeze()
        await until(lambda: Event.SERVER_AWAY in events.names)
        assert not broker.connected
        rabbitmq.thaw()
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids)
        assert max(seconds for _, seconds in tried) < BUDGET_S + 0.4
        assert max(tried)[0] > BUDGET_S - 0.1, "nothing was in flight when the broker froze"
        assert not any(task.done() for task in relays)
        for task in relays:
            task.cancel()
        await asyncio.wait(relays)


async def test_a_publish_in_flight_when_its_connection_dies_fails_as_server_away(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with proxied(rabbitmq) as (proxy, url), running(url, lane) as broker:
        await until(lambda: broker.connected)
        rabbitmq.freeze()
        flights = [asyncio.create_task(broker.publish(message(lane))) for _ in range(20)]
        await asyncio.sleep(0)
        async with Stopwatch.running() as watch:
            proxy.reset()
            await asyncio.wait(flights)
        assert watch.seconds < BUDGET_S, "they waited for their budget, not for the connection"
        assert all(isinstance(task.exception(), ServerAway) for task in flights)


async def test_a_caller_that_is_cancelled_is_cancelled(rabbitmq: RabbitMQ, lane: Lane) -> None:
    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        rabbitmq.freeze()
        flight = asyncio.create_task(broker.publish(message(lane)))
        await asyncio.sleep(0)
        flight.cancel()
        await asyncio.wait({flight})
        assert flight.cancelled()


async def test_closing_is_quick_and_complete_although_the_broker_is_frozen(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, tasks = Consumer(hold=True), len(asyncio.all_tasks())
    async with running(rabbitmq.url, lane, consumer) as broker:
        await until_ready(broker)
        await broker.publish(message(lane))
        await until(lambda: consumer.deliveries)
        rabbitmq.freeze()
        consumer.deliveries[0].acknowledge()
        more_than_the_socket_takes = message(lane)._replace(ids=(message(lane).ids * 400_000))
        flight = asyncio.create_task(broker.publish(more_than_the_socket_takes))
        await until(lambda: flight.done() or broker._out.connection.write_queue.empty())  # type: ignore[union-attr]  # it is connected
        async with Stopwatch.running() as watch:
            await broker.close()
        assert watch.seconds < 2.2
        await asyncio.wait({flight})
        assert isinstance(flight.exception(), ServerAway)
        await until(lambda: len(asyncio.all_tasks()) == tasks)


async def test_starting_returns_at_once_when_nothing_listens(lane: Lane) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    events = Events()
    async with running(f"amqp://a:b@127.0.0.1:{port}/", lane, Consumer(), events) as broker:
        assert not broker.connected
        assert not broker.consuming
        await until(lambda: events)
    assert events.names == [Event.SERVER_AWAY]


async def test_an_alarm_fails_publishing_at_once_and_publishing_resumes_when_it_is_over(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    events = Events()
    async with running(rabbitmq.url, lane, None, events) as broker:
        await until(lambda: broker.connected)
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0")
        try:
            await until_refused(broker, lane)
            await until(lambda: events)
            async with Stopwatch.running() as watch:
                with pytest.raises(ServerAway, match="blocked"):
                    await broker.publish(message(lane))
            assert watch.seconds < BUDGET_S / 2
        finally:
            await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
        await publish_until_confirmed(broker, lane)
    assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK]
    assert "blocked" in events[0][1]["why"]


@pytest.mark.parametrize(("confirms_again", "remade"), [(False, True), (True, False)])
async def test_a_connection_over_which_a_queue_confirms_nothing_is_remade(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch, confirms_again: bool, remade: bool
) -> None:
    monkeypatch.setattr(publishing, "UNCONFIRMED_S", 1.5)
    monkeypatch.setattr(Publishing, "check_every_s", 0.1)
    events = Events()
    async with running(rabbitmq.url, lane, None, events) as broker:
        await until(lambda: broker.connected)
        channel = broker._publishing._channel
        assert channel is not None
        with monkeypatch.context() as patch:
            patch.setattr(
                channel, "basic_publish", partial(never_to, lane.queues["normal"], channel.basic_publish)
            )
            with pytest.raises(ServerAway, match="in time"):
                await broker.publish(message(lane))
        if confirms_again:
            await broker.publish(message(lane))
        await broker.publish(message(lane, "high"))  # another queue says nothing about this one
        await asyncio.sleep(1.5)
        await publish_until_confirmed(broker, lane)
    assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK] * remade


async def never_to(queue: str, publish: Callable[..., Awaitable[object]], *args: Any, **named: Any) -> object:
    """Publish, but wait for ever where it is to this queue."""
    if named["routing_key"] == queue:
        await asyncio.Event().wait()
    return await publish(*args, **named)


async def test_a_message_for_a_missing_queue_is_noticed_and_the_queue_is_made_again(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker, operator(rabbitmq) as channel:
        await until(lambda: broker.connected)
        await channel.queue_delete(lane.queues["normal"])
        with pytest.raises(ServerAway, match=lane.queues["normal"]):
            await broker.publish(message(lane))
        await publish_until_confirmed(broker, lane)
        assert (await broker.depths())[lane.queues["normal"]] == 1


async def test_a_consumer_whose_queue_was_deleted_by_hand_comes_back(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer()
    async with running(rabbitmq.url, lane, consumer) as broker, operator(rabbitmq) as channel:
        await until_ready(broker)
        await channel.queue_delete(lane.queues["normal"])
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids, within_s=20)  # before a silent queue is looked at


async def test_a_consumer_that_died_silently_is_noticed_and_replaced(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer, events = Consumer(), Events()
    async with running(rabbitmq.url, lane, consumer, events, watch_s=0.3) as broker:
        await until_ready(broker)
        each = next(each for each in broker._consuming.consumers if each.source.priority == "normal")
        await each._channel.basic_cancel(
            each.source.queue
        )  # the broker forgets the consumer without telling us
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids)
    assert "delivers none" in events[0][1]["why"]


async def test_a_consumer_at_its_prefetch_is_not_taken_for_dead(rabbitmq: RabbitMQ, lane: Lane) -> None:
    consumer = Consumer(hold=True)
    async with (
        proxied(rabbitmq) as (proxy, url),
        running(url, lane, consumer, watch_s=0.1) as broker,
    ):
        await until_ready(broker)
        for _ in range(20):
            await broker.publish(message(lane))
        held = queues.prefetch(lane)["normal"]
        await until(lambda: len(consumer.deliveries) == held)
        checks = count_checks(broker)
        await until(lambda: len(checks) >= 6)
        assert proxy.accepted == 2
        assert len(consumer.deliveries) == held
        assert (await broker.depths())[lane.queues["normal"]] == 20 - held
        for delivery in consumer.deliveries:
            delivery.acknowledge()
        await until(lambda: len(consumer.deliveries) == 20)


def count_checks(broker: Broker) -> list[None]:
    checks: list[None] = []
    check = broker._consuming.check

    async def counted(connection: aiormq.Connection) -> None:
        await check(connection)
        checks.append(None)

    broker._consuming.check = counted  # type: ignore[method-assign]  # counts the calls
    return checks


async def test_connections_that_are_reset_over_and_over_always_end_up_consuming_again(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, events = Consumer(), Events()
    async with proxied(rabbitmq) as (proxy, url), running(url, lane, consumer, events) as broker:
        await until_ready(broker)
        tasks = len(asyncio.all_tasks())
        for cuts in range(30):
            if cuts % 3 == 0:  # the others hit connections that are being made
                await until_ready(broker)
                new = await publish_until_confirmed(broker, lane)
                await until(lambda new=new: new in consumer.ids)  # type: ignore[misc]  # bound now on purpose
            accepted = proxy.accepted
            proxy.reset()
            await until(lambda accepted=accepted: proxy.accepted > accepted)  # type: ignore[misc]  # bound now on purpose
        await until_ready(broker)
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids)
        await until(lambda: proxy.connections == 2)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert events.names[:4] == [Event.SERVER_AWAY, Event.SERVER_BACK] * 2
    assert all(one != two for one, two in itertools.pairwise(events.names))
