"""For how long RabbitMQ has been of no use, which decides when consumers poll."""

from __future__ import annotations

import asyncio
import socket

import pytest

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker
from sluice.adapters.rabbitmq.publishing import Publishing
from sluice.core.lanes import Lane
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Consumer,
    proxied,
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
