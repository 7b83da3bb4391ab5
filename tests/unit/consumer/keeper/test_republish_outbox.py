"""What the keeper does not take while it could not send it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from consumer.keeper.republish_outbox import ROWS_PER_TICK, RepublishOutbox
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeMessagePublisher


class Outbox:
    """One message that is due."""

    def __init__(self) -> None:
        self.taken = 0
        self.looked: list[tuple[int, int]] = []

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        self.taken += 1
        return [Message(1, "default", "normal", ("a", "b"))], 0

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        self.looked.append((after, limit))
        return {0: 70, 70: 0}[after], 3

    async def dispatched(self, outbox_ids: Any) -> None:
        """Forget nothing."""


@pytest.mark.parametrize("connected", [True, False])
async def test_due_messages_are_left_alone_until_rabbitmq_is_connected(connected: bool) -> None:
    outbox, dispatcher = Outbox(), FakeMessagePublisher()
    publisher = OutboxPublisher(dispatcher, outbox, {"default": Lane("default", 8, 16)}, Telemetry())
    duty = RepublishOutbox(cast(KeeperStore, outbox), publisher, Telemetry(), lambda: connected)
    assert await duty.once() == (2 if connected else 3)
    await publisher.drain()
    assert (outbox.taken, dispatcher.ids) == ((1, ["a", "b"]) if connected else (0, []))


async def test_while_rabbitmq_is_away_the_whole_outbox_is_walked_through_for_what_is_void() -> None:
    outbox, events = Outbox(), Events()
    publisher = OutboxPublisher(FakeMessagePublisher(), outbox, {}, Telemetry())
    duty = RepublishOutbox(cast(KeeperStore, outbox), publisher, Telemetry(events), lambda: False)
    assert [await duty.once() for _ in range(3)] == [3, 3, 3]
    assert outbox.looked == [(0, ROWS_PER_TICK), (70, ROWS_PER_TICK), (0, ROWS_PER_TICK)]
    assert (events.count(Event.DROPPED), outbox.taken) == (9, 0)
