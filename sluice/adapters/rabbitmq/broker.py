"""RabbitMQ as the rest of the program sees it: publishing, deliveries, and a few questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiormq import Connection

from sluice.adapters.rabbitmq import queues
from sluice.adapters.rabbitmq.connection import BrokerConnection
from sluice.adapters.rabbitmq.consuming import Consuming
from sluice.adapters.rabbitmq.deliveries import ConsumedQueue
from sluice.adapters.rabbitmq.lane_source import LaneSource
from sluice.adapters.rabbitmq.publishing import Publishing
from sluice.adapters.rabbitmq.timeouts import SERVER, NoQueue, away, within
from sluice.core.addresses import split_hosts
from sluice.core.envelope import encode
from sluice.core.errors import CredentialsRefused
from sluice.core.job import Message
from sluice.core.lanes import DEAD_QUEUE, Lane, queue_name
from sluice.core.ports import OnDelivery
from sluice.core.runtime.telemetry import Event, Telemetry

DEPTHS_S = 2.0
WATCH_S = 30.0
DEAD_PREFETCH = 10


class Broker:
    """Publishes over one connection and consumes over another; each comes back by itself, for ever.

    `lanes` are all lanes there are, the same in every process, because each declares every queue. `name` is what
    RabbitMQ shows for the connections. `publish_budget_s` bounds a publish, `watch_s` how long a dead consumer goes unnoticed.
    """

    configured = True

    def __init__(
        self,
        url: str,
        name: str,
        lanes: Sequence[Lane],
        telemetry: Telemetry,
        publish_budget_s: float = 2.5,
        watch_s: float = WATCH_S,
    ) -> None:
        self._lanes = tuple(lanes)
        self._telemetry = telemetry
        self._publishing = Publishing(self._lanes, publish_budget_s)
        self._consuming = Consuming(self._lanes, watch_s, one_node=len(split_hosts(url)) == 1)
        self._out = BrokerConnection(url, f"{name} publishing", self._publishing, self._report)
        self._in = BrokerConnection(url, f"{name} consuming", self._consuming, self._report)
        self._away = False

    def __repr__(self) -> str:
        return f"<Broker {self._out} {self._in}>"

    @property
    def connected(self) -> bool:
        """Whether publishing works, as far as is known: a queue that cannot be consumed confirms nothing either."""
        return self._out.up and not self._in.away

    @property
    def consuming(self) -> bool:
        """Whether every queue is consumed."""
        return self._in.up and bool(self._consuming.sources) and not self._consuming.stopped

    @property
    def silent_s(self) -> float:
        """Seconds since publishing and consuming both worked; 0 while they do. Counts from start()."""
        used = [self._out, self._in] if self._consuming.sources else [self._out]
        return max(each.silent_s() for each in used)

    def consume(self, lane: Lane, on_delivery: OnDelivery) -> LaneSource:
        """Consume the queues of a lane; call before start()."""
        for priority, messages in queues.prefetch(lane).items():
            queue = queue_name(lane.name, priority)
            self._consuming.sources.append(ConsumedQueue(queue, lane.name, priority, messages, on_delivery))
        return LaneSource(lane.name, self._consuming)

    def consume_dead(self, on_delivery: OnDelivery) -> None:
        """Consume what RabbitMQ gave up delivering; call before start(). These deliveries have no lane and no priority."""
        self._consuming.sources.append(ConsumedQueue(DEAD_QUEUE, "", "", DEAD_PREFETCH, on_delivery))

    async def start(self) -> None:
        """Begin to connect. Returns at once, whether or not RabbitMQ is there."""
        self._out.start()
        if self._consuming.sources:
            self._in.start()

    async def publish(self, message: Message) -> None:
        """Return once RabbitMQ has confirmed the message. Raises ServerAway; the message may still arrive later."""
        queue = queue_name(message.lane, message.priority)
        try:
            await self._publishing.publish(queue, encode(message.ids))
        except NoQueue:
            self._telemetry.emit(Event.UNROUTABLE, queue=queue)
            raise

    async def stop_consuming(self) -> None:
        """Take no more deliveries; those that came can still be acknowledged until close()."""
        await self._consuming.stop()

    async def close(self) -> None:
        """Close both connections, at the latest after 2 s."""
        await self._consuming.flush()
        await asyncio.gather(self._out.close(), self._in.close())

    async def ping(self, timeout_s: float) -> None:
        """Check that RabbitMQ answers. Raises ServerAway."""
        await within(timeout_s, queues.depths(self._connection(), [DEAD_QUEUE]))

    async def depths(self) -> dict[str, int]:
        """Count ready messages by queue name, of every queue of which that is known. Raises ServerAway within 2 s.

        Of a queue without consumers that is what fetching has found: all lanes of a busy fleet may be paused.
        """
        fetched = {each.source.queue: 0 for each in self._consuming.consumers if each.was_empty}
        return fetched | await within(DEPTHS_S, queues.depths(self._connection(), queues.names(self._lanes)))

    def _connection(self) -> Connection:
        if self._out.locked_out and not self._out.up:
            raise CredentialsRefused(SERVER)
        if self._out.connection is None or not self._out.up:
            raise away(self._out.why or "no connection")
        return self._out.connection

    def _report(self) -> None:
        """Report once that RabbitMQ went away, and once that all of it is back."""
        gone = [each for each in (self._out, self._in) if each.away]
        if gone and not self._away:
            self._telemetry.emit(Event.SERVER_AWAY, server=SERVER, why=gone[0].why)
        elif self._away and not gone:
            self._telemetry.emit(Event.SERVER_BACK, server=SERVER)
        self._away = bool(gone)
