"""The unacknowledged messages of one queue, and their acknowledgement in batches.

One channel per queue, one consumer per channel: delivery tags then count 1, 2, 3 without gaps, and a single frame
(`multiple`) acknowledges everything up to the highest tag below which all is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from sluice.adapters.rabbitmq.timeouts import CALL_S, within
from sluice.core.errors import ServerAway
from sluice.core.ports import OnDelivery
from sluice.core.runtime.tasks import report_failure

T = TypeVar("T")

CONSUME_S = 3.0
EMPTY_S = 5.0
"""Seconds for which a queue that was found empty counts as empty: what is lost has been missing for longer."""


@dataclass(frozen=True, slots=True)
class ConsumedQueue:
    """A queue to consume, how many of its messages to hold, and who gets them."""

    queue: str
    lane: str
    priority: str
    prefetch: int
    on_delivery: OnDelivery


class QueueDelivery:
    """A message that was delivered: a sluice.core.ports.Delivery. `lane` and `priority` are empty for dead letters."""

    __slots__ = ("_consumer", "_tag", "body", "lane", "priority")

    def __init__(self, consumer: QueueConsumer, tag: int, body: bytes) -> None:
        self._consumer = consumer
        self._tag = tag
        self.body = body
        self.lane = consumer.source.lane
        self.priority = consumer.source.priority

    def acknowledge(self) -> None:
        """Forget the message; does nothing if its channel was lost, because then it comes again."""
        self._consumer.acknowledge(self._tag)

    def hand_back(self) -> None:
        """Put the message back into its queue; does nothing if its channel was lost, because then it is there already."""
        self._consumer.hand_back(self._tag)


class QueueConsumer:
    """The consumer of one queue on one channel; useless once the channel is lost.

    `pushed` says whether RabbitMQ sends messages by itself. `delivered` is the tag of the last message, and `delivered_at` when
    it came, by the clock of the loop.
    """

    def __init__(
        self, source: ConsumedQueue, channel: AbstractChannel, check_soon: Callable[[], None]
    ) -> None:
        self.source = source
        self.delivered = 0
        self.delivered_at = asyncio.get_running_loop().time()
        self.lost = False
        self.pushed = False
        self._channel = channel
        self._check_soon = check_soon
        self._accepting = True
        self._finished: set[int] = set()
        self._handed_back: set[int] = set()
        self._empty_at = -inf
        self._finished_to = 0
        self._looked_at = 0
        self._sent_to = 0
        self._flushing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<QueueConsumer {self.source.queue}: {self.unacknowledged} of {self.source.prefetch}>"

    @property
    def unacknowledged(self) -> int:
        """Messages that RabbitMQ counts against the prefetch."""
        return self.delivered - self._sent_to

    @property
    def was_empty(self) -> bool:
        """Whether there was no message to fetch a moment ago."""
        return not self.pushed and self._empty_at > asyncio.get_running_loop().time() - EMPTY_S

    async def open(self) -> None:
        """Prepare to consume. Raises ServerAway."""
        self._channel.closing.add_done_callback(self._on_lost)
        self._channel.on_consumer_cancel_callbacks.add(self._on_lost)
        await within(CALL_S, self._channel.basic_qos(prefetch_count=self.source.prefetch))

    async def consume(self) -> None:
        """Begin to consume. Raises ServerAway; NoAnswer if the queue is silent."""
        self.pushed = True
        self.delivered_at = asyncio.get_running_loop().time()
        queue = (
            self.source.queue
        )  # and its own name as consumer tag, so that it can be cancelled before the answer is here
        await within(CONSUME_S, self._channel.basic_consume(queue, self._receive, consumer_tag=queue))

    async def pause(self) -> None:
        """Receive only what is fetched."""
        if self.pushed and not self.lost:
            self.pushed = False
            await self._or_lose(within(CALL_S, self._channel.basic_cancel(self.source.queue)))

    async def resume(self) -> None:
        """Consume again."""
        if self._accepting and not (self.pushed or self.lost):
            await self._or_lose(self.consume())

    async def fetch(self) -> bool:
        """Receive one message that is ready; false if there is none."""
        if self.lost or not self._accepting:
            return False
        message = await self._or_lose(within(CALL_S, self._channel.basic_get(self.source.queue)))
        if message is None:
            return False
        if isinstance(message.delivery, spec.Basic.GetEmpty):
            self._empty_at = asyncio.get_running_loop().time()
            return False
        await self._receive(message)
        return True

    def has_stale(self) -> bool:
        """Tell whether a message that was in hand at the last call still is."""
        stale = self._finished_to < self._looked_at
        self._looked_at = self.delivered
        return stale

    async def stop(self) -> None:
        """Receive nothing more; what was delivered can still be acknowledged."""
        self._accepting = False
        await self.pause()

    async def flush(self) -> None:
        """Wait until the acknowledgements are sent."""
        if self._flushing:
            await asyncio.wait({self._flushing})

    def discard(self) -> None:
        """Forget what was delivered: the channel is lost."""
        self.lost = True
        self._finished.clear()
        self._handed_back.clear()
        if self._flushing:
            self._flushing.cancel()

    def acknowledge(self, tag: int) -> None:
        """Mark a delivery as finished, and acknowledge as far as all are."""
        if self.lost or tag <= self._finished_to:
            return
        self._finished.add(tag)
        while self._finished_to + 1 in self._finished:
            self._finished_to += 1
            self._finished.remove(self._finished_to)
        if self._finished_to > self._sent_to and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._flush())
            self._flushing.add_done_callback(self._on_flushed)

    def hand_back(self, tag: int) -> None:
        """Mark a delivery as finished, but have it put back into the queue."""
        if not self.lost and tag > self._finished_to:
            self._handed_back.add(tag)
            self.acknowledge(tag)

    async def _receive(self, message: DeliveredMessage) -> None:
        self.delivered += 1
        self.delivered_at = asyncio.get_running_loop().time()
        if self._accepting and not self.lost:
            delivery = QueueDelivery(self, self.delivered, message.body)
            try:
                self.source.on_delivery(delivery)
            except Exception as error:  # noqa: BLE001  left there, it would hold up all that come after it
                report_failure(f"delivery-{self.source.queue}", error)
                delivery.acknowledge()

    async def _flush(self) -> None:
        """Send acknowledgements in the next turn of the loop, so that everything finished in this one travels together."""
        while self._sent_to < self._finished_to:
            upto, handed_back = self._next_frame()
            if handed_back:
                await self._channel.basic_nack(upto, multiple=True, requeue=True)
            else:
                await self._channel.basic_ack(upto, multiple=True)
            self._sent_to = upto

    def _next_frame(self) -> tuple[int, bool]:
        """Return the last of the next tags that were finished alike, and whether these are handed back.

        The tag of a frame has to be one that RabbitMQ waits for: `multiple` with any other takes in later ones too.
        """
        if not self._handed_back:
            return self._finished_to, False
        upto = self._sent_to + 1
        handed_back = upto in self._handed_back
        while upto < self._finished_to and (upto + 1 in self._handed_back) == handed_back:
            upto += 1
        self._handed_back.difference_update(range(self._sent_to + 1, upto + 1))
        return upto, handed_back

    async def _or_lose(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Wait for a call; if it fails, nobody knows what RabbitMQ sends from now on, so the channel counts as lost."""
        try:
            return await call
        except ServerAway:
            self._on_lost()
            return None

    def _on_flushed(self, flushing: asyncio.Task[None]) -> None:
        if flushing.cancelled() or flushing.exception():
            self._on_lost()

    def _on_lost(self, *_: object) -> None:
        """Note that RabbitMQ cancelled the consumer (its queue was deleted), or closed the channel."""
        self.lost = True
        self._check_soon()
