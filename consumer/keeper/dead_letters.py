"""Offer jobs again whose messages RabbitMQ gave up delivering (dead letters)."""

from __future__ import annotations

from consumer.acknowledging import PendingDelivery
from consumer.failure_report import report_unforeseen
from sluice.core.envelope import decode
from sluice.core.errors import Malformed
from sluice.core.ports import Delivery, KeeperStore
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry


class DeadLetters:
    """Offers the jobs of dead letters again that are still queued."""

    def __init__(self, store: KeeperStore, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry
        self._reading: TaskSet[None] = TaskSet()

    def deliver(self, delivery: Delivery) -> None:
        """Read one dead letter in the background."""
        self._reading.start(self._read(delivery), "dead-letter")

    async def _read(self, delivery: Delivery) -> None:
        """Offer its jobs again, and forget it; if the record is away, they are found with other lost messages."""
        self._telemetry.emit(Event.DEAD_LETTER)
        letter = PendingDelivery(delivery)
        try:
            found = await self._store.offer_ids(decode(delivery.body))
            self._telemetry.emit(Event.REDISPATCHED, found, reason="dead-letter")
        except Malformed as error:
            return letter.drop_unreadable(error, self._telemetry)
        except Exception as error:  # noqa: BLE001  whatever it is, they are found
            report_unforeseen(self._telemetry, "dead-letter", error)
        return letter.drop_dead_letter()
