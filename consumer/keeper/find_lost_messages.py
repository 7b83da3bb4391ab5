"""Find queued jobs whose messages RabbitMQ has lost, and offer them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime

from sluice.core.lanes import PRIORITIES, queue_name
from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

Depths = Callable[[], Awaitable[Mapping[str, int]]]
"""Counts ready messages by queue name; a queue of which nothing is known is missing. Raises ServerAway."""
AT_ONCE = 5_000
"""Jobs that one statement offers again."""


class FindLostMessages:
    """Finds jobs whose queue is empty, or that much younger jobs of their queue have overtaken.

    `newest_claimed` is when the newest job that this process has claimed from each queue had been queued.
    """

    def __init__(
        self,
        store: KeeperStore,
        depths: Depths,
        newest_claimed: Mapping[tuple[str, str], datetime],
        lanes: Collection[str],
        telemetry: Telemetry,
    ) -> None:
        self._store, self._depths, self._telemetry = store, depths, telemetry
        self._newest_claimed = newest_claimed
        self._queues = [(lane, priority) for lane in lanes for priority in PRIORITIES]

    async def once(self) -> int:
        """Offer again all that is lost by now: what a queue that is empty now had held is lost, though it fills meanwhile."""
        depths = await self._depths()
        newest: dict[tuple[str, str], datetime | None] = {**self._newest_claimed}
        newest |= {queue: None for queue in self._queues if depths.get(queue_name(*queue)) == 0}
        total, found = 0, AT_ONCE
        while newest and found >= AT_ONCE:
            total += (found := await self._store.offer_lost(newest, AT_ONCE))
            self._telemetry.emit(Event.REDISPATCHED, found, reason="lost")
        return total
