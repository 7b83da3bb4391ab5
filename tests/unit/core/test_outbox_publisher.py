"""Publishing: confirmed messages leave the outbox, all others stay in it for the keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sluice.core.errors import ServerAway
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeMessagePublisher

LANES = {"default": Lane("default", slots=4, ids_per_message=2)}


class Outbox:
    """Remembers which rows were deleted, and by how many statements."""

    def __init__(self) -> None:
        self.forgotten: list[list[int]] = []
        self.away = False

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        if self.away:
            raise ServerAway("postgresql")
        self.forgotten.append(list(outbox_ids))


class Setup:
    """A publisher between a fake broker and a fake outbox."""

    def __init__(self, **options: int) -> None:
        self.broker, self.outbox, self.events = FakeMessagePublisher(), Outbox(), Events()
        self.publisher = OutboxPublisher(self.broker, self.outbox, LANES, Telemetry(self.events), **options)

    async def send(self, *messages: Message) -> None:
        self.publisher.send(messages)
        await self.publisher.drain()


@pytest.fixture
async def setup() -> Setup:
    return Setup()


def message(number: int, *ids: str, lane: str = "default") -> Message:
    return Message(number, lane, "normal", ids)


async def test_a_confirmed_message_leaves_the_outbox(setup: Setup) -> None:
    await setup.send(message(1, "a", "b"))
    assert setup.broker.published == [message(1, "a", "b")]
    assert setup.outbox.forgotten == [[1]]
    assert setup.events == [(Event.DISPATCHED, 2, {})]


async def test_a_message_that_is_not_confirmed_yet_stays_in_the_outbox(setup: Setup) -> None:
    setup.broker.open.clear()
    setup.publisher.send([message(1, "a")])
    await asyncio.sleep(0)
    assert repr(setup.publisher) == "<OutboxPublisher 1 unconfirmed>"
    assert setup.outbox.forgotten == []
    setup.broker.open.set()
    await setup.publisher.drain()
    assert setup.outbox.forgotten == [[1]]
    assert repr(setup.publisher) == "<OutboxPublisher 0 unconfirmed>"


async def test_a_message_that_the_broker_does_not_take_stays_in_the_outbox(setup: Setup) -> None:
    setup.broker.away = True
    await setup.send(message(1, "a", "b"))
    assert setup.outbox.forgotten == []
    assert setup.events == [(Event.DISPATCH_DEFERRED, 2, {})]


async def test_rows_confirmed_together_are_forgotten_together(setup: Setup) -> None:
    setup.broker.open.clear()
    setup.publisher.send(message(number, "a") for number in range(50))
    await asyncio.sleep(0)
    setup.broker.open.set()
    await setup.publisher.drain()
    assert sorted(row for batch in setup.outbox.forgotten for row in batch) == list(range(50))
    assert len(setup.outbox.forgotten) < 5


async def test_more_ids_than_a_message_may_carry_travel_in_several(setup: Setup) -> None:
    await setup.send(message(1, "a", "b", "c"))
    assert setup.broker.published == [message(1, "a", "b"), message(1, "c")]
    assert setup.outbox.forgotten == [[1]]
    assert setup.events == [(Event.DISPATCHED, 3, {})]


async def test_ids_of_a_lane_that_nobody_configured_any_more_travel_one_by_one(setup: Setup) -> None:
    await setup.send(message(1, "a", "b", lane="gone"))
    assert [each.ids for each in setup.broker.published] == [("a",), ("b",)]


async def test_what_is_over_the_limit_of_unconfirmed_messages_is_left_to_the_keeper() -> None:
    setup = Setup(most_unconfirmed=2)
    setup.broker.open.clear()
    setup.publisher.send(message(number, "a", "b") for number in range(3))
    assert setup.events == [(Event.DISPATCH_DEFERRED, 2, {})]
    setup.broker.open.set()
    await setup.publisher.drain()
    assert len(setup.broker.published) == 2


async def test_a_row_that_could_not_be_forgotten_is_counted_and_nothing_breaks(setup: Setup) -> None:
    setup.outbox.away = True
    await setup.send(message(1, "a"))
    assert setup.events == [(Event.DISPATCHED, 1, {}), (Event.DISPATCH_DEFERRED, 1, {})]


async def test_draining_when_nothing_was_sent_ends_at_once(setup: Setup) -> None:
    await setup.publisher.drain()
