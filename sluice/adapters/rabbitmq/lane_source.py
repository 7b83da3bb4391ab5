"""The queues of one lane: pushed by RabbitMQ, or fetched from one by one while they are paused."""

from __future__ import annotations

import asyncio

from sluice.adapters.rabbitmq.consuming import Consuming
from sluice.adapters.rabbitmq.deliveries import QueueConsumer


class LaneSource:
    """A sluice.core.ports.DeliverySource. What is paused stays so when the connection is restored."""

    def __init__(self, lane: str, consuming: Consuming) -> None:
        self._lane, self._consuming = lane, consuming
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<LaneSource {self._lane}{' paused' if self._lane in self._consuming.paused else ''}>"

    async def pause(self) -> None:
        """Have messages kept in their queues until they are fetched."""
        async with self._lock:
            self._consuming.paused.add(self._lane)
            await asyncio.gather(*(each.pause() for each in self._consumers()))

    async def resume(self) -> None:
        """Have messages pushed again."""
        async with self._lock:
            self._consuming.paused.discard(self._lane)
            await asyncio.gather(*(each.resume() for each in self._consumers()))

    async def fetch(self, priority: str) -> bool:
        """Have one message of this priority delivered before this returns; false if there is none."""
        async with self._lock:
            for each in self._consumers():
                if each.source.priority == priority:
                    return await each.fetch()
        return False

    def has_stale(self) -> bool:
        """Tell whether a message that was in hand at the last call still is."""
        stale = [each.has_stale() for each in self._consumers()]  # a list: each has to look
        return any(stale)

    def _consumers(self) -> list[QueueConsumer]:
        return [each for each in self._consuming.consumers if each.source.lane == self._lane]
