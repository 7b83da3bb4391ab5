"""Let RabbitMQ keep the messages of a lane whose jobs would wait here for long, or that an operator has paused.

What a consumer holds while its slots are busy is kept from consumers that have room, and RabbitMQ ends a channel that does
not acknowledge a message within `consumer_timeout`. So while a lane is slow, its messages are pushed only as long as slots
are free; once all are taken, each slot that comes free asks for a message. Of a lane that is halted nothing is pushed or asked for.
"""

from __future__ import annotations

import asyncio

from consumer.intake.lane_buffer import LaneBuffer
from consumer.lane_slots import LaneSlots
from sluice.core.lanes import WEIGHTS
from sluice.core.ports import DeliverySource

LOOK_S = 5.0
"""Seconds between two looks. A message is in hand for two of them at the most; RabbitMQ waits for 30 minutes by default."""

SLOW_BELOW = 2
"""A full lane is slow if fewer slots came free between two looks than this times its slots, or than ids wait here."""

FAST_FROM = sum(WEIGHTS.values())
"""A slow lane is fast again if so many did that each priority had its turn, or if it is not full."""


class LanePauses:
    """Judges how fast a lane is, and pauses its queues while it is full and slow."""

    def __init__(self, source: DeliverySource, buffer: LaneBuffer, slots: LaneSlots) -> None:
        self._source, self._buffer, self._slots = source, buffer, slots
        self._freed = slots.freed
        self._slow = self._paused = False

    def __repr__(self) -> str:
        return f"<LanePauses {self._slots.lane.name}: {'slow' if self._slow else 'fast'}{', paused' * self._paused}>"

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def halt(self, halted: bool) -> None:
        """Take in nothing from now on, as an operator has paused the lane, or go on; what runs is left alone."""
        if halted == self._buffer.halted:
            return
        self._buffer.halt(halted)
        await (self._pause() if halted else self._resume())

    async def look(self) -> None:
        """Judge the lane; pause it if it is slow and full, or if a message waited since the last look."""
        stale = self._source.has_stale()
        # While the record is away, a claim lasts: resumed, the lane would send around what it cannot claim.
        claiming = self._paused and self._slots.claiming.locked()
        self._slow = self._is_slow() or stale or claiming
        self._buffer.before_take = self._ask_or_pause if self._slow else None
        if stale or (self._slow and not self._paused):
            await self._pause()
        elif self._paused and not self._slow:
            await self._resume()

    def _is_slow(self) -> bool:
        freed, self._freed = self._slots.freed - self._freed, self._slots.freed
        slots = self._slots.lane.slots
        enough = FAST_FROM * slots if self._slow else max(SLOW_BELOW * slots, self._buffer.waiting)
        return self._slots.left <= 0 and freed < enough

    async def _ask_or_pause(self) -> None:
        """Have a message delivered if slots are free; while there is none, let them be pushed until the lane is full."""
        if self._buffer.halted:
            return
        if self._slots.left <= 0:
            if not self._paused:
                await self._pause()
        elif self._paused and not await self._ask():
            await self._resume()

    async def _ask(self) -> bool:
        """Fetch for the priority whose turn it is, unless ids of it are here; false if there is nothing at all."""
        for priority in self._buffer.turns():
            if self._buffer.holds(priority) or await self._source.fetch(priority):
                return True
        return False

    async def _pause(self) -> None:
        self._paused = True
        await self._source.pause()
        self._buffer.hand_back()

    async def _resume(self) -> None:
        if self._buffer.halted:
            return
        self._paused = False
        await self._source.resume()
