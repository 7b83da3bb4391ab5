"""Hold the ids that a lane's deliveries brought until slots are free."""

from __future__ import annotations

import asyncio

from consumer.acknowledging import PendingDelivery
from consumer.lane_slots import LaneSlots
from sluice.core.envelope import decode
from sluice.core.errors import Malformed
from sluice.core.lanes import WeightedBuffers
from sluice.core.ports import Delivery


class LaneBuffer:
    """Hands out ids as slots come free: by priority, and first in, first out within each."""

    def __init__(self, slots: LaneSlots) -> None:
        self._slots = slots
        self._ids: WeightedBuffers[tuple[str, PendingDelivery]] = WeightedBuffers()
        self._ready = asyncio.Event()
        slots.on_free = self._wake

    def __repr__(self) -> str:
        slots = self._slots
        return f"<LaneBuffer {slots.lane.name}: {len(self._ids)} ids, {slots.busy}/{slots.lane.slots} slots>"

    def add(self, delivery: Delivery) -> int:
        """Keep the ids of a delivery until there are slots; returns how many. Raises Malformed."""
        ids = decode(delivery.body)
        if not ids:
            raise Malformed("an envelope without ids")
        pending = PendingDelivery(delivery, len(ids))
        self._ids.put(delivery.priority, [(job_id, pending) for job_id in ids])
        self._wake()
        return len(ids)

    async def take(self) -> dict[str, list[PendingDelivery]]:
        """Wait for ids and free slots; then as many ids as there are free slots, with their deliveries, taking those slots.

        Returns nothing once the lane is closed.
        """
        while not (self._slots.closed or self._can_take()):
            self._ready.clear()
            await self._ready.wait()
        if self._slots.closed:
            return {}
        taken: dict[str, list[PendingDelivery]] = {}
        for job_id, pending in self._ids.take(self._slots.left):
            taken.setdefault(job_id, []).append(pending)
        self._slots.take(len(taken))
        return taken

    def close(self) -> None:
        """Take nothing more. The ids that wait are dropped: RabbitMQ offers the unacknowledged deliveries to others."""
        self._slots.close()
        self._ids.clear()
        self._ready.set()

    def _can_take(self) -> bool:
        return bool(len(self._ids)) and self._slots.left > 0

    def _wake(self) -> None:
        if self._can_take():
            self._ready.set()
