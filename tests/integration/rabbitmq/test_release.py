"""Which release of RabbitMQ a run meets, and what differs between releases and must not matter."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import aiormq
import pytest

from infra.local.rabbitmq import VERSION_VARIABLE
from infra.local.rabbitmq4 import installed_version
from infra.local.servers import RabbitMQ, Servers
from sluice.adapters.rabbitmq import Broker
from sluice.core.envelope import encode
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Consumer,
    operator,
    proxied,
    until_ready,
)
from tests.support.waiting import until

RETURNS = 25


async def reported_version(server: RabbitMQ) -> str:
    """Return the version that the broker announces to every client."""
    connection = await aiormq.connect(server.url)
    try:
        told = connection.server_properties["version"]
        return told.decode() if isinstance(told, bytes) else str(told)
    finally:
        await connection.close()


async def test_the_brokers_of_this_run_are_of_the_release_it_is_about(
    rabbitmq: RabbitMQ, shared_servers: Servers
) -> None:
    expected = os.environ.get(VERSION_VARIABLE) or installed_version(Path("/"))
    if expected is None:
        pytest.skip("nothing says which release this machine has")
    shared_servers.rabbitmq.start()
    for server in (rabbitmq, shared_servers.rabbitmq):
        told = await reported_version(server)
        assert told.startswith(expected)
        assert server.version == told


async def test_a_message_that_came_back_time_and_again_comes_once_more_or_is_a_dead_letter(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    consumer, dead, new = Consumer(hold=True), Consumer(), str(uuid4())

    async def came(times: int) -> None:
        await until(lambda: len(consumer.deliveries) == times or dead.ids)

    async with proxied(rabbitmq) as (proxy, url):
        broker = Broker(url, "test", [lane], Telemetry(), BUDGET_S)
        broker.consume(lane, consumer)
        broker.consume_dead(dead)
        await broker.start()
        await until_ready(broker)
        async with operator(rabbitmq) as channel:
            await channel.basic_publish(encode([new]), routing_key=lane.queues["normal"])
        for times in range(1, RETURNS + 1):
            await came(times)
            proxy.reset()
        await came(RETURNS + 1)
        await broker.close()
    gives_up = int(rabbitmq.version.split(".")[0]) >= 4  # after twenty returns
    assert dead.ids == ([new] if gives_up else [])
    assert consumer.ids == [new] * (21 if gives_up else RETURNS + 1)
