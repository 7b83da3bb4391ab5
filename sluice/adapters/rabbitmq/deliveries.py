"""The messages of one queue that are in our hands, and their acknowledgement in batches.

One channel per queue, one consumer per channel: delivery tags then count 1, 2, 3 without gaps, and a single frame
(`multiple`) acknowledges everything up to the highest tag below which all is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from aiormq.abc import AbstractChannel, DeliveredMessage

from sluice.adapters.rabbitmq.timeouts import CALL_S, within
from sluice.core.errors import ServerAway
from sluice.core.ports import OnDelivery

CONSUME_S = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """A queue to consume, how many of its messages to hold, and who gets them."""

    queue: str
    lane: str
    priority: str
    prefetch: int
    on_delivery: OnDelivery


class QueueDelivery:
    """A message in hand: a sluice.core.ports.Delivery. `lane` and `priority` are empty for dead letters."""

    __slots__ = ("_hand", "_tag", "body", "lane", "priority")

    def __init__(self, hand: QueueConsumer, tag: int, body: bytes) -> None:
        self._hand = hand
        self._tag = tag
        self.body = body
        self.lane = hand.source.lane
        self.priority = hand.source.priority

    def acknowledge(self) -> None:
        """Forget the message; does nothing where its channel was lost, because then it comes again."""
        self._hand.finish(self._tag)


class QueueConsumer:
    """The consumer of one queue on one channel; useless once the channel is lost."""

    def __init__(self, source: Source, channel: AbstractChannel, doubt: Callable[[], None]) -> None:
        self.source = source
        self.delivered = 0
        self.heard_at = asyncio.get_running_loop().time()
        self.lost = False
        self._channel = channel
        self._doubt = doubt
        self._tag = ""
        self._taking = True
        self._finished: set[int] = set()
        self._complete = 0
        self._told = 0
        self._flushing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Hand {self.source.queue}: {self.in_hand} of {self.source.prefetch}>"

    @property
    def in_hand(self) -> int:
        """Messages that RabbitMQ counts against the prefetch."""
        return self.delivered - self._told

    async def open(self) -> None:
        """Begin to consume. Raises ServerAway; NoAnswer where the queue is silent."""
        self._channel.closing.add_done_callback(self._ended)
        self._channel.on_consumer_cancel_callbacks.add(self._ended)
        await within(CALL_S, self._channel.basic_qos(prefetch_count=self.source.prefetch))
        answer = await within(CONSUME_S, self._channel.basic_consume(self.source.queue, self._take))
        self._tag = answer.consumer_tag or ""

    async def stop(self) -> None:
        """Take nothing more; what is in hand can still be acknowledged."""
        self._taking = False
        with suppress(ServerAway):
            await within(CALL_S, self._channel.basic_cancel(self._tag))

    async def flush(self) -> None:
        """Wait until RabbitMQ has been told what is finished."""
        if self._flushing:
            await asyncio.wait({self._flushing})

    def let_go(self) -> None:
        """The channel is lost: what is in hand is void."""
        self.lost = True
        self._finished.clear()
        if self._flushing:
            self._flushing.cancel()

    def finish(self, tag: int) -> None:
        """This delivery is done with."""
        if self.lost or tag <= self._complete:
            return
        self._finished.add(tag)
        while self._complete + 1 in self._finished:
            self._complete += 1
            self._finished.remove(self._complete)
        if self._complete > self._told and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._flush())
            self._flushing.add_done_callback(self._flushed)

    async def _take(self, message: DeliveredMessage) -> None:
        self.delivered += 1
        self.heard_at = asyncio.get_running_loop().time()
        if self._taking and not self.lost:
            self.source.on_delivery(QueueDelivery(self, self.delivered, message.body))

    async def _flush(self) -> None:
        """Runs in the next turn of the loop, so everything finished in this one travels together."""
        while self._told < self._complete:
            upto = self._complete
            await self._channel.basic_ack(upto, multiple=True)
            self._told = upto

    def _flushed(self, flushing: asyncio.Task[None]) -> None:
        if flushing.cancelled() or flushing.exception():
            self._ended()

    def _ended(self, *_: object) -> None:
        """RabbitMQ cancelled the consumer (its queue was deleted), or closed the channel."""
        self.lost = True
        self._doubt()
