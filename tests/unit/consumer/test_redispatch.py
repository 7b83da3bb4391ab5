"""What the keeper does not take while it could not send it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from consumer.keeper.redispatch import DueMessages
from core.dispatch import Dispatch
from core.job import Message
from core.lanes import Lane
from core.ports import KeeperStore
from core.telemetry import Telemetry
from tests.fakes import FakeDispatcher


class Outbox:
    """One message that is due."""

    def __init__(self) -> None:
        self.taken = 0

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        self.taken += 1
        return [Message(1, "default", "normal", ("a", "b"))], 0

    async def dispatched(self, outbox_ids: Any) -> None:
        """Forget nothing."""


@pytest.mark.parametrize("connected", [True, False])
async def test_due_messages_are_left_alone_until_rabbitmq_is_connected(connected: bool) -> None:
    outbox, dispatcher = Outbox(), FakeDispatcher()
    dispatch = Dispatch(dispatcher, outbox, {"default": Lane("default", 8, 16)}, Telemetry())
    duty = DueMessages(cast(KeeperStore, outbox), dispatch, Telemetry(), lambda: connected)
    assert await duty.once() == (2 if connected else 0)
    await dispatch.drain()
    assert (outbox.taken, dispatcher.ids) == ((1, ["a", "b"]) if connected else (0, []))
