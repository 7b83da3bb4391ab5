"""Offer jobs again whose messages RabbitMQ gave up delivering (dead letters)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from consumer.acknowledging import PendingDelivery
from consumer.failure_report import report_unforeseen
from sluice.core.envelope import decode
from sluice.core.errors import Malformed
from sluice.core.ports import Delivery, KeeperStore
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry

PAUSE_S = 0.5
"""Seconds until a record that did not answer is asked again."""


class DeadLetters:
    """Offers the jobs of dead letters again that are still queued."""

    def __init__(self, store: KeeperStore, telemetry: Telemetry, pause_s: float = PAUSE_S) -> None:
        self._store, self._telemetry, self._pause_s = store, telemetry, pause_s
        self._reading: TaskSet[None] = TaskSet()

    def deliver(self, delivery: Delivery) -> None:
        """Read one dead letter in the background."""
        self._reading.start(self._read(delivery), "dead-letter")

    async def _read(self, delivery: Delivery) -> None:
        """Offer its jobs again, then forget it; until the record answers, RabbitMQ keeps it."""
        self._telemetry.emit(Event.DEAD_LETTER)
        letter = PendingDelivery(delivery)
        try:
            found = await self._offer(decode(delivery.body))
        except Malformed as error:
            letter.drop_unreadable(error, self._telemetry)
        else:
            self._telemetry.emit(Event.REDISPATCHED, found, reason="dead-letter")
            letter.drop_dead_letter()

    async def _offer(self, ids: Sequence[str]) -> int:
        while True:
            try:
                return await self._store.offer_ids(ids)
            except Exception as error:  # noqa: BLE001  RabbitMQ would not deliver it a second time over this connection
                report_unforeseen(self._telemetry, "dead-letter", error)
                await asyncio.sleep(self._pause_s)
