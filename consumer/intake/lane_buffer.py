"""Hints in hand: the ids that deliveries brought, waiting in this process for free slots."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sluice.core.envelope import decode
from sluice.core.errors import Malformed
from sluice.core.lanes import Lane, WeightedBuffers
from sluice.core.ports import Delivery


class PendingDelivery:
    """One delivery, acknowledged once all its ids are claimed or accounted for."""

    __slots__ = ("_delivery", "_left")

    def __init__(self, delivery: Delivery, ids: int) -> None:
        self._delivery = delivery
        self._left = ids

    def done(self) -> None:
        """One more id is claimed or accounted for."""
        self._left -= 1
        if self._left == 0:
            self._delivery.acknowledge()


class LaneBuffer:
    """A lane's hints and slots in this consumer.

    `claiming` is held from a claim to the start of its jobs: of hints and pulls one at a time is under way, so that jobs
    which run under our name and are not in hand are known to be claims whose reply was lost.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.closed = False
        self.claiming = asyncio.Lock()
        self._hints: WeightedBuffers[tuple[str, PendingDelivery]] = WeightedBuffers()
        self._busy = 0
        self._ready = asyncio.Event()
        self._roomy = asyncio.Event()

    def __repr__(self) -> str:
        return f"<LaneQueue {self.lane.name}: {len(self._hints)} hints, {self._busy}/{self.lane.slots} slots>"

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._busy

    def add(self, delivery: Delivery) -> int:
        """Keep the ids of a delivery until there are slots; returns how many. Raises Malformed."""
        ids = decode(delivery.body)
        if not ids:
            raise Malformed("an envelope without ids")
        pending = PendingDelivery(delivery, len(ids))
        self._hints.put(delivery.priority, [(job_id, pending) for job_id in ids])
        self._ring()
        return len(ids)

    async def take(self) -> dict[str, list[PendingDelivery]]:
        """Wait for hints and free slots; then as many hints as there are free slots, by id, taking those slots.

        Nothing once the lane is closed.
        """
        while not (self.closed or self._can_take()):
            self._ready.clear()
            await self._ready.wait()
        if self.closed:
            return {}
        taken: dict[str, list[PendingDelivery]] = {}
        for job_id, pending in self._hints.take(self.lane.slots - self._busy):
            taken.setdefault(job_id, []).append(pending)
        self._busy += len(taken)
        return taken

    async def room(self) -> int:
        """Wait for free slots and take them all; returns how many, 0 once the lane is closed."""
        while not (self.closed or self._busy < self.lane.slots):
            self._roomy.clear()
            await self._roomy.wait()
        if self.closed:
            return 0
        slots = self.lane.slots - self._busy
        self._busy += slots
        return slots

    def free(self, slots: int = 1) -> None:
        """Give slots back."""
        self._busy -= slots
        self._roomy.set()
        self._ring()

    def close(self) -> None:
        """Take nothing more. The hints that wait are dropped: RabbitMQ offers the unacknowledged deliveries to others."""
        self.closed = True
        self._hints.clear()
        self._ready.set()
        self._roomy.set()

    def _can_take(self) -> bool:
        return bool(len(self._hints)) and self._busy < self.lane.slots

    def _ring(self) -> None:
        if self._can_take():
            self._ready.set()


def acknowledge(taken: Iterable[list[PendingDelivery]]) -> None:
    """Every id of these is claimed or accounted for."""
    for deliveries in taken:
        for pending in deliveries:
            pending.done()
