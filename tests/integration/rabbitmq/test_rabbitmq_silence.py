"""For how long RabbitMQ has been of no use, which decides when consumers poll."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from aiormq import Connection

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker, consuming, queues
from sluice.adapters.rabbitmq.publishing import Publishing
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Event
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Consumer,
    Events,
    proxied,
    publish_until_confirmed,
    running,
    until_ready,
    until_refused,
)
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(60)


def now() -> float:
    """Return the time of the loop's clock."""
    return asyncio.get_running_loop().time()


def silent_since(broker: Broker) -> float:
    """Return when the broker was last known to work."""
    return now() - broker.silent_s


async def test_a_rabbitmq_that_works_is_not_silent_and_one_that_died_is_since_its_death(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane, Consumer()) as broker:
        await until_ready(broker)
        await asyncio.sleep(0.3)
        assert broker.silent_s == 0
        before = now()
        await asyncio.to_thread(rabbitmq.kill)
        await until(lambda: broker.silent_s > 0.2)
        assert silent_since(broker) >= before


async def test_a_frozen_rabbitmq_is_silent_since_it_was_last_heard_not_since_it_was_noticed(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane, Consumer()) as broker:
        await until_ready(broker)
        rabbitmq.freeze()
        frozen_at = now()
        assert broker.silent_s == 0
        await until(lambda: broker.silent_s, within_s=30)
        noticed_at = now()
        assert noticed_at - frozen_at > BUDGET_S
        assert silent_since(broker) <= frozen_at + 0.1
        await asyncio.sleep(1.2)
        assert silent_since(broker) <= frozen_at + 0.1, "attempts to connect are no sign of life"
        rabbitmq.thaw()
        await until(lambda: broker.silent_s == 0)


async def test_a_rabbitmq_that_was_never_there_is_silent_since_the_start(lane: Lane) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    began = now()
    async with running(f"amqp://a:b@127.0.0.1:{port}/", lane, Consumer()) as broker:
        await until(lambda: broker.silent_s > 0.3)
        assert began <= silent_since(broker) <= began + 0.2


async def test_both_ways_count_where_something_is_consumed_and_one_where_nothing_is(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with proxied(rabbitmq) as (_, url), running(url, lane) as one_way:
        await until(lambda: one_way.connected)
        await asyncio.sleep(0.05)
        assert one_way.silent_s == 0
    async with running(rabbitmq.url, lane, Consumer()) as both_ways:
        await until_ready(both_ways)
        await both_ways._in.close()
        await until(lambda: both_ways.silent_s)
        assert both_ways.connected


async def test_an_alarm_that_holds_publishers_back_is_silence(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Publishing, "check_every_s", 0.1)
    async with running(rabbitmq.url, lane, Consumer()) as broker:
        await until_ready(broker)
        await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0")
        try:
            await until_refused(broker, lane)
            await until(lambda: broker.silent_s > 0.5)
            assert broker.consuming, "deliveries go on"
        finally:
            await asyncio.to_thread(rabbitmq.control, "set_vm_memory_high_watermark", "0.4")
        await until(lambda: broker.silent_s == 0)


async def test_a_queue_whose_consumer_rabbitmq_does_not_know_of_is_silence_over_a_connection_that_lasts(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "ASK_AGAIN_S", 0.1)
    events, consumer = Events(), Consumer()
    async with running(rabbitmq.url, lane, consumer, events, watch_s=0.2) as broker:
        await until_ready(broker)
        each = next(each for each in broker._consuming.consumers if each.source.priority == "normal")
        before = now()
        await each._channel.basic_cancel(
            each.source.queue
        )  # now RabbitMQ answers as where the leader is away
        await until(lambda: broker.silent_s > 0.5)
        assert before - 0.3 <= silent_since(broker) <= before + 0.1
        assert not broker.connected, "it would publish for nothing"
        await each.consume()
        await until(lambda: broker.silent_s == 0)
        new = await publish_until_confirmed(broker, lane)
        await until(lambda: new in consumer.ids)
        assert not each.lost
    assert events.names == [Event.SERVER_AWAY, Event.SERVER_BACK]
    assert each.source.queue in events[0][1]["why"]


async def test_a_leader_that_answers_at_the_second_time_is_not_silence(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "ASK_AGAIN_S", 0.1)
    asked: list[int] = []
    depths = queues.depths

    async def unknown_at_first(connection: Connection, wanted: Sequence[str]) -> dict[str, int]:
        asked.append(len(wanted))
        return {} if len(wanted) > 1 else await depths(connection, wanted)

    events = Events()
    async with running(rabbitmq.url, lane, Consumer(), events, watch_s=0.2) as broker:
        await until_ready(broker)
        monkeypatch.setattr(queues, "depths", unknown_at_first)
        await until(lambda: asked.count(1) > 2)
        assert broker.silent_s == 0
    assert not events
