"""Find queued jobs whose messages RabbitMQ has lost, and offer them again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from sluice.core.lanes import PRIORITIES, queue_name
from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

OVERTAKEN_S = 60.0
"""Seconds by which a job has to be older than the newest that was claimed from its queue."""

STRANDED_S = 10.0
"""Seconds for which a job has to have been queued, where its queue is empty."""


class QueueDepths(Protocol):
    """RabbitMQ's queues, counted."""

    async def depths(self) -> dict[str, int]:
        """Ready messages by queue name. Raises ServerAway."""


class FindOvertakenJobs:
    """Finds jobs that much younger jobs of their queue have overtaken: queues are first in, first out."""

    def __init__(
        self,
        store: KeeperStore,
        newest_claimed: Mapping[tuple[str, str], datetime],
        telemetry: Telemetry,
        patience_s: float = OVERTAKEN_S,
    ) -> None:
        self._store, self._newest_claimed, self._telemetry = store, newest_claimed, telemetry
        self._patience_s = patience_s

    async def once(self) -> int:
        """Compare the record with the newest claims of this process."""
        if not self._newest_claimed:
            return 0
        found = await self._store.redispatch_overtaken(dict(self._newest_claimed), self._patience_s)
        self._telemetry.emit(Event.REDISPATCHED, found, reason="overtaken")
        return found


class FindStrandedJobs:
    """Finds jobs whose queue was seen empty twice, although they are queued and no consumer holds them."""

    def __init__(
        self,
        store: KeeperStore,
        broker: QueueDepths,
        lanes: Collection[str],
        telemetry: Telemetry,
        patience_s: float = STRANDED_S,
    ) -> None:
        self._store, self._broker, self._telemetry = store, broker, telemetry
        self._queues = {
            queue_name(lane, priority): (lane, priority) for lane in lanes for priority in PRIORITIES
        }
        self._patience_s = patience_s
        self._empty: set[str] = set()

    async def once(self) -> int:
        """Look at every queue; one that was empty last time as well has lost its messages."""
        depths = await self._broker.depths()
        empty = {queue for queue in self._queues if depths.get(queue) == 0}
        twice, self._empty = empty & self._empty, empty
        if not twice:
            return 0
        found = await self._store.redispatch_stranded(
            [self._queues[each] for each in twice], self._patience_s
        )
        self._telemetry.emit(Event.REDISPATCHED, found, reason="stranded")
        return found
