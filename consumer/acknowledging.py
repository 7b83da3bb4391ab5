"""Acknowledge messages: no other file does it, and nothing is ever rejected or requeued."""

from __future__ import annotations

from sluice.core.errors import Malformed
from sluice.core.ports import Delivery
from sluice.core.runtime.telemetry import Event, Telemetry


class PendingDelivery:
    """A message in hand, with the number of its ids that are neither claimed nor accounted for."""

    __slots__ = ("_delivery", "_left")

    def __init__(self, delivery: Delivery, ids: int = 0) -> None:
        self._delivery = delivery
        self._left = ids

    def account_for_one(self) -> None:
        """Count one more id that is claimed, or that the record has dealt with otherwise."""
        self._left -= 1
        if self._left == 0:
            # The record knows who runs its jobs. From here on their leases keep them, not RabbitMQ.
            self._delivery.acknowledge()

    def drop_unreadable(self, error: Malformed, telemetry: Telemetry) -> None:
        """Count and forget a message that nobody can read."""
        telemetry.emit(Event.UNREADABLE, why=str(error))
        # No other consumer could read it either. The record has the jobs it was for, and the keeper finds them.
        self._delivery.acknowledge()

    def drop_dead_letter(self) -> None:
        """Forget a dead letter whose jobs were offered again."""
        # Its jobs that are still queued have new outbox rows: other messages will bring them.
        self._delivery.acknowledge()
