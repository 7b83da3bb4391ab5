"""Publish what was accepted but not dispatched: the outbox has a row for every message RabbitMQ has not confirmed."""

from __future__ import annotations

from collections.abc import Callable

from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

IDS_PER_TICK = 2_000
"""So that catching up after an outage does not starve live load."""

ROWS_AT_ONCE = 500
"""Outbox rows taken by one statement at most: half of the messages that may wait for their confirmation."""

ROWS_PER_TICK = 2_000
"""Outbox rows looked at for what pulling has made void."""


class RepublishOutbox:
    """Publishes outbox rows whose time has come.

    None are taken while RabbitMQ is not `connected` or confirms too slowly: a row taken for nothing would not be due again for
    30 s. While it is not connected, those whose jobs were pulled meanwhile are dropped, or the outbox would grow for as long.
    """

    def __init__(
        self,
        store: KeeperStore,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        connected: Callable[[], bool],
    ) -> None:
        self._store, self._publisher, self._telemetry = store, publisher, telemetry
        self._connected = connected
        self._looked_at = 0

    async def once(self) -> int:
        """Publish one tick's worth."""
        if not self._connected():
            return await self._drop_void()
        if self._publisher.unconfirmed >= ROWS_AT_ONCE:
            return 0
        messages, dropped = await self._store.take_due_messages(IDS_PER_TICK)
        ids = sum(len(message.ids) for message in messages)
        self._telemetry.emit(Event.DROPPED, dropped)
        self._telemetry.emit(Event.REDISPATCHED, ids, reason="due")
        self._publisher.send(messages)
        return ids

    async def _drop_void(self) -> int:
        """Continue through the outbox; at its end, start over."""
        self._looked_at, dropped = await self._store.drop_void_messages(self._looked_at, ROWS_PER_TICK)
        self._telemetry.emit(Event.DROPPED, dropped)
        return dropped
