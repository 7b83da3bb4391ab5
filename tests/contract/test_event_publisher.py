"""What every EventPublisher does: the fake that tests use and RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aio_pika
import pytest

from infra.local.servers import Servers
from sluice.adapters.rabbitmq import EventBroker
from sluice.core.errors import ServerAway
from sluice.core.job_event import EXCHANGE, JobEvent, describe
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeEventPublisher
from tests.support.make_jobs import finished_job
from tests.support.waiting import until


class Subject:
    """A publisher, and what has arrived behind it."""

    def __init__(self, publisher: FakeEventPublisher | EventBroker, leave: Callable[[], object]) -> None:
        self.publisher, self.leave = publisher, leave
        self._arrived: list[JobEvent] = []

    async def deliver(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        """Take an event from RabbitMQ."""
        assert message.content_type == "application/json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        headers = {name: value for name, value in message.headers.items() if isinstance(value, str | int)}
        event = JobEvent(message.message_id or "", message.routing_key or "", headers, message.body)
        self._arrived.append(event)
        await message.ack()

    async def arrived(self, count: int) -> list[JobEvent]:
        """The first so many events, once they are there."""
        await until(lambda: len(self._events) >= count)
        return self._events

    @property
    def _events(self) -> list[JobEvent]:
        if isinstance(self.publisher, FakeEventPublisher):
            return self.publisher.published
        return self._arrived


@pytest.fixture
async def subject(servers: Servers | None) -> AsyncIterator[Subject]:
    """A publisher that works, and a subscriber of everything."""
    if servers is None:
        fake = FakeEventPublisher()
        yield Subject(fake, lambda: setattr(fake, "away", True))
        return
    servers.up(servers.rabbitmq)
    broker = EventBroker(servers.rabbitmq.url, "tests", Telemetry(), budget_s=1)
    await broker.start()
    await until(lambda: broker.connected)
    subject = Subject(broker, servers.rabbitmq.kill)
    async with await aio_pika.connect(servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("sluice.test-events", exclusive=True)
        await queue.bind(EXCHANGE, "job.#")
        await queue.consume(subject.deliver)
        yield subject
    await broker.close()


async def test_what_is_confirmed_arrives_whole(subject: Subject) -> None:
    sent = describe(finished_job(tenant="ü.*", kind="a.b"))
    await subject.publisher.publish(sent)
    assert await subject.arrived(1) == [sent]


async def test_events_arrive_in_order(subject: Subject) -> None:
    sent = [describe(finished_job()) for _ in range(20)]
    for each in sent:
        await subject.publisher.publish(each)
    assert await subject.arrived(20) == sent


async def test_a_publisher_that_is_away_says_so(subject: Subject) -> None:
    subject.leave()
    with pytest.raises(ServerAway):
        await subject.publisher.publish(describe(finished_job()))


async def test_nobody_has_to_subscribe(shared_servers: Servers) -> None:
    shared_servers.up(shared_servers.rabbitmq)
    broker = EventBroker(shared_servers.rabbitmq.url, "tests", Telemetry(), budget_s=1)
    await broker.start()
    await until(lambda: broker.connected)
    await broker.publish(describe(finished_job()))
    await broker.close()


async def test_an_exchange_that_is_refused_is_reported_once_and_taken_once_it_is_right(
    shared_servers: Servers,
) -> None:
    shared_servers.up(shared_servers.rabbitmq)
    events = Events()
    broker = EventBroker(shared_servers.rabbitmq.url, "tests", Telemetry(events), budget_s=1)
    async with await aio_pika.connect(shared_servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.exchange_delete(EXCHANGE)
        await channel.declare_exchange(EXCHANGE, "fanout", durable=True)
        await broker.start()
        await until(lambda: events.count(Event.SERVER_AWAY) == 1)
        with pytest.raises(ServerAway):
            await broker.publish(describe(finished_job()))
        await channel.exchange_delete(EXCHANGE)
    await until(lambda: broker.connected)
    assert "sluice.events" in events.fields(Event.SERVER_AWAY)[0]["why"]
    assert (events.count(Event.SERVER_AWAY), events.count(Event.SERVER_BACK)) == (1, 1)
    await broker.close()
