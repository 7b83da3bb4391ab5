"""Redispatch: publish what the api could not, and find jobs whose messages RabbitMQ has lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sluice.core.envelope import decode
from sluice.core.errors import Malformed, ServerAway, TryAgain
from sluice.core.lanes import PRIORITIES, queue_name
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import Delivery, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry

IDS_PER_TICK = 2_000
"""So that catching up after an outage does not starve live load."""

ROWS_PER_TICK = 2_000
"""Outbox rows looked at for what pulling has made void."""

OVERTAKEN_S = 60.0
STRANDED_S = 10.0
PAUSE_S = 0.5


class Depths(Protocol):
    """RabbitMQ's queues, counted."""

    async def depths(self) -> dict[str, int]:
        """Ready messages by queue name. Raises ServerAway."""


def _always() -> bool:
    return True


class DueMessages:
    """Publishes outbox rows whose time has come.

    While RabbitMQ is not `connected` none are taken: what is taken in vain would not be due again for 30 s. Those whose
    jobs were pulled meanwhile are dropped, or the outbox would grow for as long as RabbitMQ is away.
    """

    def __init__(
        self,
        store: KeeperStore,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        connected: Callable[[], bool] = _always,
    ) -> None:
        self._store, self._publisher, self._telemetry = store, publisher, telemetry
        self._connected = connected
        self._looked_at = 0

    async def once(self) -> int:
        """Publish one tick's worth."""
        if not self._connected():
            return await self._drop_void()
        messages, dropped = await self._store.take_due_messages(IDS_PER_TICK)
        ids = sum(len(message.ids) for message in messages)
        self._telemetry.emit(Event.DROPPED, dropped)
        self._telemetry.emit(Event.REDISPATCHED, ids, reason="due")
        self._publisher.send(messages)
        return ids

    async def _drop_void(self) -> int:
        """Walk on through the outbox; at its end begin anew."""
        self._looked_at, dropped = await self._store.drop_void_messages(self._looked_at, ROWS_PER_TICK)
        self._telemetry.emit(Event.DROPPED, dropped)
        return dropped


class OvertakenJobs:
    """Offers jobs again that much younger jobs of their queue have overtaken: queues are first in, first out."""

    def __init__(
        self,
        store: KeeperStore,
        newest: Mapping[tuple[str, str], datetime],
        telemetry: Telemetry,
        patience_s: float = OVERTAKEN_S,
    ) -> None:
        self._store, self._newest, self._telemetry = store, newest, telemetry
        self._patience_s = patience_s

    async def once(self) -> int:
        """Compare the record with the newest claims of this process."""
        if not self._newest:
            return 0
        found = await self._store.redispatch_overtaken(dict(self._newest), self._patience_s)
        self._telemetry.emit(Event.REDISPATCHED, found, reason="overtaken")
        return found


class StrandedJobs:
    """Offers jobs again whose queue was seen empty twice, although jobs of it are queued in nobody's hands."""

    def __init__(
        self,
        store: KeeperStore,
        broker: Depths,
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
        """Look at every queue; what was empty last time as well has lost its messages."""
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


class DeadLetters:
    """Reads what RabbitMQ gave up back into the record: still queued jobs are offered again."""

    def __init__(self, store: KeeperStore, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry
        self._reading: set[asyncio.Task[None]] = set()

    def deliver(self, delivery: Delivery) -> None:
        """Take one dead letter."""
        task = asyncio.get_running_loop().create_task(self.read(delivery), name="dead-letter")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def read(self, delivery: Delivery) -> None:
        """Offer its jobs again, then forget it; until the record can be asked RabbitMQ keeps it."""
        self._telemetry.emit(Event.DEAD_LETTER)
        try:
            found = await self._offer(decode(delivery.body))
        except Malformed as error:
            self._telemetry.emit(Event.UNREADABLE, why=str(error))
        else:
            self._telemetry.emit(Event.REDISPATCHED, found, reason="dead-letter")
        delivery.acknowledge()

    async def _offer(self, ids: Sequence[str]) -> int:
        while True:
            try:
                return await self._store.redispatch_ids(ids)
            except (ServerAway, TryAgain):  # RabbitMQ would not deliver it a second time over this connection
                await asyncio.sleep(PAUSE_S)
