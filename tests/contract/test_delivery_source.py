"""What every DeliverySource does, and every Delivery that comes of it: the fake that tests use and RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from infra.local.servers import Servers
from sluice.adapters.rabbitmq import Broker
from sluice.core.envelope import decode
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.ports import Delivery, DeliverySource
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_delivery_source import FakeDeliverySource
from tests.support.servers import empty_rabbitmq
from tests.support.waiting import until

LANE = Lane("default", slots=16, ids_per_message=1)
IDS = [f"00000000-0000-0000-0000-{number:012}" for number in range(10)]


class Subject:
    """A source, and what it has delivered."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.source: DeliverySource
        self.publish: Callable[[str, str], Awaitable[None]]

    @property
    def ids(self) -> list[str]:
        """Every id that came, in order."""
        return [each for delivery in self.deliveries for each in decode(delivery.body)]

    async def publish_all(self, *ids: str, priority: str = "normal") -> None:
        """Put a message for each id into a queue."""
        for each in ids:
            await self.publish(each, priority)

    async def came(self, *ids: str) -> None:
        """Return once exactly these have come, in this order."""
        await until(lambda: len(self.ids) >= len(ids))
        assert self.ids == list(ids)


@pytest.fixture
async def subject(servers: Servers | None) -> AsyncIterator[Subject]:
    """A source that works, and pushes."""
    subject = Subject()
    if servers is None:
        _in_memory(subject)
        yield subject
        return
    servers.up(servers.rabbitmq)
    await empty_rabbitmq(servers)
    broker = Broker(servers.rabbitmq.url, "tests", [LANE], Telemetry(), publish_budget_s=1)
    subject.source = broker.consume(LANE, subject.deliveries.append)
    subject.publish = lambda job_id, priority: broker.publish(Message(1, LANE.name, priority, (job_id,)))
    await broker.start()
    await until(lambda: broker.connected and broker.consuming)
    yield subject
    await broker.close()


def _in_memory(subject: Subject) -> None:
    fake = FakeDeliverySource(subject.deliveries.append, prefetch=12)

    async def publish(job_id: str, priority: str) -> None:
        fake.publish([job_id], priority)

    subject.source, subject.publish = fake, publish


async def test_messages_are_pushed_at_first(subject: Subject) -> None:
    await subject.publish_all(*IDS)
    await subject.came(*IDS)


async def test_a_paused_source_delivers_one_message_for_each_fetch(subject: Subject) -> None:
    await subject.source.pause()
    await subject.publish_all(*IDS[:3])
    assert subject.ids == []
    assert await subject.source.fetch("normal")
    assert subject.ids == IDS[:1]
    assert await subject.source.fetch("normal")
    assert await subject.source.fetch("normal")
    assert not await subject.source.fetch("normal")
    assert subject.ids == IDS[:3]


async def test_a_fetch_asks_only_for_its_priority(subject: Subject) -> None:
    await subject.source.pause()
    await subject.publish_all(IDS[0], priority="low")
    assert not await subject.source.fetch("high")
    assert await subject.source.fetch("low")
    assert subject.deliveries[0].priority == "low"


async def test_a_resumed_source_pushes_what_waits_and_what_comes(subject: Subject) -> None:
    await subject.source.pause()
    await subject.publish_all(*IDS[:2])
    await subject.source.resume()
    await subject.publish_all(*IDS[2:4])
    await subject.came(*IDS[:4])


async def test_pausing_and_resuming_twice_is_as_good_as_once(subject: Subject) -> None:
    for _ in range(2):
        await subject.source.pause()
    await subject.publish_all(IDS[0])
    assert subject.ids == []
    for _ in range(2):
        await subject.source.resume()
    await subject.came(IDS[0])


async def test_what_is_handed_back_comes_again_and_what_is_acknowledged_does_not(subject: Subject) -> None:
    await subject.publish_all(*IDS)
    await subject.came(*IDS)
    await subject.source.pause()
    for number in (0, 3, 4, 5, 9, 1, 8, 2, 7, 6):  # in no order
        (
            subject.deliveries[number].hand_back
            if number in {2, 5, 6, 9}
            else subject.deliveries[number].acknowledge
        )()
    await _until_fetched(subject, 4)
    assert sorted(subject.ids[10:]) == [IDS[2], IDS[5], IDS[6], IDS[9]]
    assert not await subject.source.fetch("normal")


async def test_a_delivery_that_was_handed_back_can_be_acknowledged_without_harm(subject: Subject) -> None:
    await subject.publish_all(IDS[0])
    await subject.came(IDS[0])
    await subject.source.pause()
    subject.deliveries[0].hand_back()
    subject.deliveries[0].acknowledge()
    await _until_fetched(subject, 1)
    subject.deliveries[0].acknowledge()
    subject.deliveries[1].hand_back()
    await _until_fetched(subject, 1)
    assert subject.ids == [IDS[0]] * 3


async def test_a_message_is_stale_if_it_was_in_hand_at_the_last_look(subject: Subject) -> None:
    await subject.publish_all(*IDS[:2])
    await subject.came(*IDS[:2])
    assert not subject.source.has_stale()
    assert subject.source.has_stale()
    subject.deliveries[0].acknowledge()
    assert subject.source.has_stale()
    subject.deliveries[1].acknowledge()
    await subject.publish_all(IDS[2])
    await subject.came(*IDS[:3])
    assert not subject.source.has_stale()
    assert subject.source.has_stale()
    subject.deliveries[2].hand_back()
    assert not subject.source.has_stale()


async def _until_fetched(subject: Subject, count: int) -> None:
    """Fetch so many messages: RabbitMQ needs a moment to put back what was in hand."""
    wanted = len(subject.ids) + count
    while len(subject.ids) < wanted:
        await subject.source.fetch("normal")
