"""Publish the ids of committed jobs to RabbitMQ, and delete the outbox rows of what it confirmed.

Nobody waits for this: what is not confirmed in time stays in the outbox, and the keeper publishes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.ports import MessagePublisher
from sluice.core.runtime.batching import Batcher, Limits
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError

MOST_UNCONFIRMED = 1_000
"""Messages that may wait for their confirmation at once; any more are left to the keeper."""

GATHER_S = 0.05
"""Seconds for which confirmed rows are gathered, to be deleted by one statement."""


class OutboxStore(Protocol):
    """The part of the record that publishing needs."""

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""


class OutboxPublisher:
    """Publishes messages in the background, and deletes confirmed outbox rows in batches."""

    def __init__(
        self,
        dispatcher: MessagePublisher,
        store: OutboxStore,
        lanes: Mapping[str, Lane],
        telemetry: Telemetry,
        most_unconfirmed: int = MOST_UNCONFIRMED,
    ) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._lanes = lanes
        self._telemetry = telemetry
        self._most_unconfirmed = most_unconfirmed
        self._under_way: TaskSet[None] = TaskSet()
        self._confirmed: Batcher[int, None] = Batcher(
            "outbox",
            self._delete,
            Limits(rows=1_000, waiting=100_000, rest_s=GATHER_S),
            count=telemetry.count_batch,
        )

    def __repr__(self) -> str:
        return f"<OutboxPublisher {len(self._under_way)} unconfirmed>"

    @property
    def unconfirmed(self) -> int:
        """Messages that wait for their confirmation."""
        return len(self._under_way)

    def send(self, messages: Iterable[Message]) -> None:
        """Publish these messages in the background."""
        for message in messages:
            if len(self._under_way) >= self._most_unconfirmed:
                self._telemetry.emit(Event.DISPATCH_DEFERRED, len(message.ids))
                continue
            self._under_way.start(self._send(message), "dispatch")

    async def drain(self) -> None:
        """Wait until everything sent is confirmed or given up."""
        await self._under_way.drain()
        await self._confirmed.drain()

    async def _send(self, message: Message) -> None:
        try:
            for part in self._parts(message):
                self._telemetry.count_batch("publish", len(part.ids))
                await self._dispatcher.publish(part)
            self._telemetry.emit(Event.DISPATCHED, len(message.ids))
            await self._confirmed.put(message.outbox_id)
        except SluiceError:  # the outbox row stays, so the keeper comes back to it
            self._telemetry.emit(Event.DISPATCH_DEFERRED, len(message.ids))

    def _parts(self, message: Message) -> Iterator[Message]:
        """Split by the lane's ids per message; ids of a lane that is no longer configured go one by one."""
        lane = self._lanes.get(message.lane)
        size = lane.ids_per_message if lane else 1
        if len(message.ids) <= size:
            yield message
            return
        for start in range(0, len(message.ids), size):
            yield message._replace(ids=message.ids[start : start + size])

    async def _delete(self, outbox_ids: list[int]) -> list[None]:
        try:
            await self._store.dispatched(outbox_ids)
        except SluiceError:  # published again when due: a duplicate is void
            self._telemetry.emit(Event.DISPATCH_DEFERRED, len(outbox_ids))
        return [None] * len(outbox_ids)
