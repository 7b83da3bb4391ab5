"""Acknowledge messages, or hand them back: no other file does it."""

from __future__ import annotations

from sluice.core.errors import Malformed
from sluice.core.ports import Delivery
from sluice.core.runtime.telemetry import Event, Telemetry


class PendingDelivery:
    """A message in hand, with the number of its ids that are neither claimed nor accounted for.

    `held` says whether RabbitMQ holds it, too: otherwise the ids that are left are nowhere but here.
    """

    __slots__ = ("_delivery", "_ids", "_left", "held")

    def __init__(self, delivery: Delivery, ids: int = 0) -> None:
        self._delivery = delivery
        self._ids = self._left = ids
        self.held = True

    def account_for_one(self) -> None:
        """Count one more id that is claimed, or that the record has dealt with otherwise."""
        self._left -= 1
        if self._left == 0:
            # The record knows who runs its jobs. From here on their leases keep them, not RabbitMQ.
            self._delivery.acknowledge()

    def let_go(self) -> bool:
        """End its waiting for slots; returns whether its ids go on waiting here, without it."""
        if self._left == self._ids:
            # The record has dealt with none of its ids: whoever has room may have it.
            self._delivery.hand_back()
            return False
        # It would come back once for each of its ids, and RabbitMQ counts: after 20 times it is a dead letter.
        self.held = False
        self._delivery.acknowledge()
        return True

    def drop_unreadable(self, error: Malformed, telemetry: Telemetry) -> None:
        """Count and forget a message that nobody can read."""
        telemetry.emit(Event.UNREADABLE, why=str(error))
        # No other consumer could read it either. The record has the jobs it was for, and the keeper finds them.
        self._delivery.acknowledge()

    def drop_dead_letter(self) -> None:
        """Forget a dead letter whose jobs were offered again."""
        # Its jobs that are still queued have new outbox rows: other messages will bring them.
        self._delivery.acknowledge()
