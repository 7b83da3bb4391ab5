"""Without RabbitMQ a message is a call over Redis: consumers learn of work as soon as by a delivery, or find it a little later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.connections import open_connections
from sluice.adapters.rabbitmq import NullBroker
from sluice.adapters.redis.ports import RedisPorts, redis_ports
from sluice.core.errors import NotConfigured, ServerAway
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.owner import Owner
from sluice.core.ports import Delivery
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import Record
from tests.support.fakes import Events
from tests.support.servers import settings_for
from tests.support.waiting import until

LANE = Lane("default", 8, 4)
MESSAGE = Message(1, "default", "normal", ("a",))


@pytest.fixture
async def record(servers: Servers) -> AsyncIterator[Record]:
    """Open an empty record."""
    sql = await asyncpg.connect(servers.postgres.url)
    opened = Record(servers, sql)
    await opened.begin()
    yield opened
    await opened.database.close()
    await sql.close()


@pytest.fixture
async def ports(servers: Servers) -> AsyncIterator[RedisPorts]:
    """Open Redis for a process that knows its database."""
    identity = RecordIdentity()
    identity.learn("one")
    ports = redis_ports(settings_for(servers), "tests", Telemetry(), identity)
    yield ports
    await ports.close()


async def test_a_message_calls_for_its_lane(ports: RedisPorts) -> None:
    heard: list[str] = []
    listening = asyncio.create_task(ports.subscriptions.listen_calls(heard.append))
    await until(lambda: heard == [""])  # before it was listening calls may have been missed
    broker = NullBroker(ports.cache.call_workers, Telemetry())
    await broker.publish(MESSAGE)
    await broker.publish(MESSAGE._replace(lane="heavy"))
    await until(lambda: len(heard) == 3)
    assert heard[1:] == ["default", "heavy"]
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_call_fails_where_redis_is_away(servers: Servers, ports: RedisPorts) -> None:
    servers.redis.kill()
    try:
        with pytest.raises(ServerAway):
            await NullBroker(ports.cache.call_workers, Telemetry()).publish(MESSAGE)
    finally:
        servers.redis.start()


async def test_what_was_called_for_leaves_the_outbox(record: Record, ports: RedisPorts) -> None:
    await record.accepted()
    (row,) = await record.outbox()
    publisher = OutboxPublisher(
        NullBroker(ports.cache.call_workers, Telemetry()), record.store, {LANE.name: LANE}, Telemetry()
    )
    publisher.send([Message(row.id, row.lane, row.priority, tuple(row.ids))])
    await publisher.drain()
    assert await record.outbox() == []


async def test_the_null_broker_has_the_interface_of_the_real_one_and_says_what_to_do(
    servers: Servers,
) -> None:
    events = Events()
    settings = settings_for(servers, rabbitmq_url="")
    async with open_connections(settings, "api", Owner(), Telemetry(events)) as opened:
        broker = opened.broker
        assert isinstance(broker, NullBroker)
        assert (broker.configured, broker.connected, broker.silent_s) == (False, True, inf)
        broker.consume(LANE, _never)
        broker.consume_dead(_never)
        await broker.start()
        await broker.stop_consuming()
        with pytest.raises(NotConfigured, match="SLUICE_RABBITMQ_URL"):
            await opened.pings["rabbitmq"]()
        with pytest.raises(ServerAway, match="not configured"):
            await broker.depths()
    assert repr(broker) == "<NullBroker>"
    (said,) = events.fields(Event.RABBITMQ_ABSENT)
    assert "SLUICE_RABBITMQ_URL" in said["remedy"]


def _never(delivery: Delivery) -> None:
    raise AssertionError(delivery)
