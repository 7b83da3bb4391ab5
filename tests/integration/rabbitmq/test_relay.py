"""From the outbox to RabbitMQ while it freezes, hangs up and loses queues: only confirmed rows leave the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from infra.local.servers import RabbitMQ
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.rabbitmq.rabbitmq_fixture import (
    BUDGET_S,
    Events,
    message,
    operator,
    proxied,
    running,
)
from tests.support.fakes import Events as Counted
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(60)


class Relay:
    """A publisher over a real broker, and the outbox rows it has removed."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.forgotten, self.events = lane, list[int](), Counted()
        self._sent: dict[int, Message] = {}

    def over(self, broker: object) -> Relay:
        self._publisher = OutboxPublisher(broker, self, {self.lane.name: self.lane}, Telemetry(self.events))  # type: ignore[arg-type]  # this object counts for the outbox
        return self

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Remove these rows, as the outbox would."""
        self.forgotten += outbox_ids

    def send(self, count: int) -> None:
        """Publish so many new rows."""
        first = len(self._sent)
        self._sent |= {
            number: message(self.lane)._replace(outbox_id=number) for number in range(first, first + count)
        }
        self._publisher.send([self._sent[number] for number in range(first, first + count)])

    async def settled(self) -> None:
        await self._publisher.drain()

    async def all_forgotten(self) -> None:
        """Publish again what was not confirmed, as the keeper does."""
        async with asyncio.timeout(30):
            while left := [each for number, each in self._sent.items() if number not in self.forgotten]:
                self._publisher.send(left)
                await self.settled()
                await asyncio.sleep(0.05)


async def test_a_relay_outlives_a_frozen_broker_and_forgets_only_what_was_confirmed(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        relay = Relay(lane).over(broker)
        rabbitmq.freeze()
        relay.send(50)
        await asyncio.wait_for(relay.settled(), BUDGET_S + 20)
        assert relay.forgotten == []
        assert relay.events.count(Event.DISPATCH_DEFERRED) == 50
        rabbitmq.thaw()
        await relay.all_forgotten()
    assert sorted(relay.forgotten) == list(range(50))


async def test_a_relay_outlives_a_connection_that_dies_under_its_messages(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with proxied(rabbitmq) as (proxy, url), running(url, lane) as broker:
        await until(lambda: broker.connected)
        relay = Relay(lane).over(broker)
        rabbitmq.freeze()
        relay.send(50)
        await asyncio.sleep(0.05)  # all of them wait for confirmation
        proxy.reset()
        await asyncio.wait_for(relay.settled(), 20)
        assert relay.forgotten == []
        assert relay.events.count(Event.DISPATCH_DEFERRED) == 50
        rabbitmq.thaw()
        await relay.all_forgotten()


async def test_a_cancellation_that_nobody_asked_for_is_a_lost_connection(
    rabbitmq: RabbitMQ, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object, **__: object) -> None:
        """Cancel what is pending, as the driver does when a connection ends in certain ways."""
        raise asyncio.CancelledError

    async with running(rabbitmq.url, lane) as broker:
        await until(lambda: broker.connected)
        relay = Relay(lane).over(broker)
        with monkeypatch.context() as patch:
            patch.setattr(broker._publishing._channel, "basic_publish", cancelled)
            relay.send(3)
            await relay.settled()
        assert relay.events.count(Event.DISPATCH_DEFERRED) == 3
        assert relay.forgotten == []
        await relay.all_forgotten()


async def test_messages_for_a_queue_that_is_gone_are_reported_and_stay_in_the_outbox(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    told = Events()
    async with running(rabbitmq.url, lane, None, told) as broker, operator(rabbitmq) as channel:
        await until(lambda: broker.connected)
        relay = Relay(lane).over(broker)
        await channel.queue_delete(lane.queues["normal"])
        relay.send(50)
        await relay.settled()
        deferred = relay.events.count(Event.DISPATCH_DEFERRED)
        assert deferred == 50 - len(relay.forgotten)
        unroutable = [fields for event, fields in told if event is Event.UNROUTABLE]
        assert unroutable == [{"queue": lane.queues["normal"]}] * len(unroutable)
        assert 0 < len(unroutable) <= deferred  # a busy broker may be silent of some
        await relay.all_forgotten()
        assert (await broker.depths())[lane.queues["normal"]] == 50, "what was forgotten is not all there"


async def test_a_queue_that_is_deleted_over_and_over_under_load_costs_no_row(
    rabbitmq: RabbitMQ, lane: Lane
) -> None:
    async with running(rabbitmq.url, lane) as broker, operator(rabbitmq) as channel:
        await until(lambda: broker.connected)
        relay = Relay(lane).over(broker)
        for _ in range(5):
            relay.send(100)
            await channel.queue_delete(lane.queues["normal"])
            relay.send(100)
            await relay.settled()
        deferred = relay.events.count(Event.DISPATCH_DEFERRED)
        assert deferred == 1_000 - len(relay.forgotten) > 0
        await relay.all_forgotten()
        assert len(relay.forgotten) == len(set(relay.forgotten)) == 1_000
