"""sluice.core.ports.DeliverySource in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sluice.core.envelope import encode
from sluice.core.lanes import PRIORITIES
from sluice.core.ports import OnDelivery


class FakeDeliverySource:
    """A lane's queues: pushes up to `prefetch` messages of each to `on_delivery`, unless it is paused.

    `ready` has what waits by priority, `in_hand` what is not acknowledged, `returns` how many were handed back.
    """

    def __init__(self, on_delivery: OnDelivery, prefetch: int = 2) -> None:
        self.ready: dict[str, deque[bytes]] = {priority: deque() for priority in PRIORITIES}
        self.in_hand: list[QueuedDelivery] = []
        self.paused = False
        self.returns = 0
        self._on_delivery, self._prefetch = on_delivery, prefetch
        self._seen: list[QueuedDelivery] = []

    def publish(self, ids: Sequence[str], priority: str = "normal") -> None:
        """Put a message into a queue."""
        self.ready[priority].append(encode(ids))
        self.push()

    async def pause(self) -> None:
        """Push nothing more."""
        self.paused = True

    async def resume(self) -> None:
        """Push again."""
        self.paused = False
        self.push()

    async def fetch(self, priority: str) -> bool:
        """Deliver one message, if there is one."""
        if not self.ready[priority]:
            return False
        self._deliver(priority)
        return True

    def has_stale(self) -> bool:
        """Compare what is in hand with what was at the last call."""
        stale = any(each in self.in_hand for each in self._seen)
        self._seen = list(self.in_hand)
        return stale

    def push(self) -> None:
        """Deliver as far as the prefetch goes."""
        for priority, waiting in self.ready.items():
            while waiting and not self.paused and self._held(priority) < self._prefetch:
                self._deliver(priority)

    def _held(self, priority: str) -> int:
        return sum(each.priority == priority for each in self.in_hand)

    def _deliver(self, priority: str) -> None:
        delivery = QueuedDelivery(self, priority, self.ready[priority].popleft())
        self.in_hand.append(delivery)
        self._on_delivery(delivery)


class QueuedDelivery:
    """A message out of these queues."""

    def __init__(self, source: FakeDeliverySource, priority: str, body: bytes) -> None:
        self.body, self.priority = body, priority
        self._source = source

    def acknowledge(self) -> None:
        """Forget it, and make room for the next."""
        if self in self._source.in_hand:
            self._source.in_hand.remove(self)
            self._source.push()

    def hand_back(self) -> None:
        """Put it where RabbitMQ without a delivery limit does: at the end."""
        if self in self._source.in_hand:
            self._source.in_hand.remove(self)
            self._source.returns += 1
            self._source.ready[self.priority].append(self.body)
            self._source.push()
