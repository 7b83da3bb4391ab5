"""The slots of a lane: how many of its jobs this consumer runs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from sluice.core.lanes import Lane


def _wake_nobody() -> None:
    """Stand in for `on_free` if there is no buffer."""


class LaneSlots:
    """A lane's slots, which both intakes take and the end of a run frees. `on_free` is called when some become free.

    `freed` counts how often one came free. `claiming` is held from a claim to the start of its jobs. So claims of one lane are made one at a time, and jobs which
    run under this consumer's name and are not in hand are known to be claims whose reply was lost.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.busy = 0
        self.freed = 0
        self.closed = False
        self.claiming = asyncio.Lock()
        self.on_free: Callable[[], None] = _wake_nobody
        self._freed_at = monotonic()
        self._freed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<LaneSlots {self.lane.name}: {self.busy} of {self.lane.slots} busy>"

    @property
    def left(self) -> int:
        """Slots that are free."""
        return self.lane.slots - self.busy

    @property
    def full_s(self) -> float:
        """Seconds since a slot became free, while all are taken."""
        return 0.0 if self.left > 0 else monotonic() - self._freed_at

    def take(self, slots: int) -> None:
        """Take slots that are free."""
        if self.left == slots:
            self._freed_at = monotonic()
        self.busy += slots

    async def take_all(self) -> int:
        """Wait for free slots and take them all; returns how many, 0 once the lane is closed."""
        while not (self.closed or self.left > 0):
            self._freed.clear()
            await self._freed.wait()
        if self.closed:
            return 0
        slots = self.left
        self.take(slots)
        return slots

    def free(self, slots: int = 1) -> None:
        """Give slots back."""
        self.busy -= slots
        self._freed_at = monotonic()
        self.freed += slots
        self._freed.set()
        self.on_free()

    def close(self) -> None:
        """Hand out no more slots."""
        self.closed = True
        self._freed.set()
