"""Hold the ids that a lane's deliveries brought until slots are free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from consumer.acknowledging import PendingDelivery
from consumer.lane_slots import LaneSlots
from sluice.core.envelope import decode
from sluice.core.errors import Malformed
from sluice.core.lanes import WeightedBuffers
from sluice.core.ports import Delivery


class LaneBuffer:
    """Hands out ids as slots come free: by priority, and first in, first out within each.

    `before_take` is called before ids are handed out, and when slots are free that no id waits for. While it is `halted`, an
    operator pauses the lane, and no id is handed out.
    """

    def __init__(self, slots: LaneSlots) -> None:
        self._slots = slots
        self._ids: WeightedBuffers[tuple[str, PendingDelivery]] = WeightedBuffers()
        self._taken: dict[str, list[PendingDelivery]] = {}
        self._ready = asyncio.Event()
        self.before_take: Callable[[], Awaitable[None]] | None = None
        self.halted = False
        slots.on_free = self._wake

    def __repr__(self) -> str:
        slots = self._slots
        return f"<LaneBuffer {slots.lane.name}: {len(self._ids)} ids, {slots.busy}/{slots.lane.slots} slots>"

    @property
    def waiting(self) -> int:
        """How many ids wait here for slots."""
        return len(self._ids)

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
        self._taken = {}
        while True:
            if self.before_take:
                await self.before_take()
            if self._slots.closed:
                return {}
            if self._can_take():
                return self._take()
            self._ready.clear()
            await self._ready.wait()

    def halt(self, halted: bool) -> None:
        """Hand out no ids from now on, or go on."""
        self.halted = halted
        self._wake()

    def turns(self) -> list[str]:
        """List the priorities in the order in which they are to give the next id."""
        return self._ids.order()

    def holds(self, priority: str) -> bool:
        """Tell whether ids of a priority wait."""
        return self._ids.holds(priority)

    def hand_back(self) -> None:
        """Let go of the deliveries that wait: RabbitMQ offers them to others, but for ids of those that were begun."""
        waiting = {pending for _, pending in self._ids if pending.held}
        claiming = {pending for several in self._taken.values() for pending in several if pending.held}
        gone = {pending for pending in waiting | claiming if not pending.let_go()}
        self._ids.keep(lambda item: item[1] not in gone)

    def close(self) -> list[str]:
        """Take nothing more, and drop the ids that wait; returns those that RabbitMQ does not hold, and offers to nobody."""
        self._slots.close()
        self._ready.set()
        return [job_id for job_id, pending in self._ids.clear() if not pending.held]

    def _take(self) -> dict[str, list[PendingDelivery]]:
        taken = self._taken
        for job_id, pending in self._ids.take(self._slots.left):
            taken.setdefault(job_id, []).append(pending)
        self._slots.take(len(taken))
        return taken

    def _can_take(self) -> bool:
        return bool(len(self._ids)) and self._slots.left > 0 and not self.halted

    def _wake(self) -> None:
        if self._slots.left > 0 and (self.before_take or len(self._ids)):
            self._ready.set()
