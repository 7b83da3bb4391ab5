"""What every MessagePublisher does, and every Delivery that comes of it: the fake that tests use and RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from infra.local.servers import Servers
from sluice.adapters.rabbitmq import Broker
from sluice.core.envelope import decode
from sluice.core.errors import ServerAway
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.ports import Delivery
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fakes import FakeMessagePublisher
from tests.support.servers import empty_rabbitmq
from tests.support.waiting import until

LANE = Lane("default", slots=8, ids_per_message=4)


class Subject:
    """A publisher, and what has arrived behind it."""

    def __init__(self, publisher: FakeMessagePublisher | Broker, leave: Callable[[], None]) -> None:
        self.publisher, self.leave = publisher, leave
        self._arrived: list[tuple[str, ...]] = []

    def deliver(self, delivery: Delivery) -> None:
        """Take a message from RabbitMQ."""
        self._arrived.append(tuple(decode(delivery.body)))
        delivery.acknowledge()

    async def arrived(self, count: int) -> list[tuple[str, ...]]:
        """The ids of the first so many messages, once they are there."""
        await until(lambda: len(self._messages) >= count)
        return self._messages

    @property
    def _messages(self) -> list[tuple[str, ...]]:
        if isinstance(self.publisher, FakeMessagePublisher):
            return [message.ids for message in self.publisher.published]
        return self._arrived


@pytest.fixture
async def subject(servers: Servers | None) -> AsyncIterator[Subject]:
    """A publisher that works."""
    if servers is None:
        fake = FakeMessagePublisher()
        yield Subject(fake, lambda: setattr(fake, "away", True))
        return
    servers.up(servers.rabbitmq)
    await empty_rabbitmq(servers)
    broker = Broker(servers.rabbitmq.url, "tests", [LANE], Telemetry(), publish_budget_s=1)
    subject = Subject(broker, servers.rabbitmq.kill)
    broker.consume(LANE, subject.deliver)
    await broker.start()
    await until(lambda: broker.connected and broker.consuming)
    yield subject
    await broker.close()


def message(ids: int) -> Message:
    return Message(1, LANE.name, "normal", tuple(str(uuid4()) for _ in range(ids)))


async def test_what_is_confirmed_arrives_whole(subject: Subject) -> None:
    sent = message(ids=4)
    await subject.publisher.publish(sent)
    assert await subject.arrived(1) == [sent.ids]


async def test_messages_of_one_queue_arrive_in_order(subject: Subject) -> None:
    sent = [message(ids=1) for _ in range(20)]
    for each in sent:
        await subject.publisher.publish(each)
    assert await subject.arrived(20) == [each.ids for each in sent]


async def test_a_publisher_that_is_away_says_so(subject: Subject) -> None:
    subject.leave()
    with pytest.raises(ServerAway):
        await subject.publisher.publish(message(ids=1))
