"""The connection that consumes: one consumer per queue, and a watch for consumers that died silently."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiormq import Connection

from sluice.adapters.rabbitmq import queues
from sluice.adapters.rabbitmq.deliveries import ConsumedQueue, QueueConsumer
from sluice.adapters.rabbitmq.timeouts import CALL_S, CHECK_EVERY_S, SERVER, NoAnswer, NoLeader, away, within
from sluice.core.errors import ServerAway
from sluice.core.lanes import DEAD_QUEUE, Lane

STOP_S = 1.0
FLUSH_S = 0.5
UNANSWERED_TIMES = 2
ASK_AGAIN_S = 1.0
"""Seconds until a queue is asked again. RabbitMQ waits 0.25 s for a leader, and a busy one may take longer."""


class Consuming:
    """Consumes the queues that were added before the connection came up (a ConnectionUse).

    `paused` names the lanes whose messages are only fetched.
    `watch_s`: a queue with room under its prefetch that was silent so long is asked whether it has messages. If it has, and
    stays silent until the next check, the connection is remade: the consumer is gone.
    `one_node`: no other node can have a queue that this one does not answer for.
    """

    def __init__(self, lanes: Sequence[Lane], watch_s: float, one_node: bool) -> None:
        self._one_node = one_node
        self.check_every_s = min(CHECK_EVERY_S, watch_s / 2)
        self.sources: list[ConsumedQueue] = []
        self.consumers: list[QueueConsumer] = []
        self.paused: set[str] = set()
        self.stopped = False
        self._lanes = lanes
        self._watch_s = watch_s
        self._suspects: dict[str, int] = {}
        self._unanswered: Counter[str] = Counter()

    async def set_up(self, connection: Connection, check_soon: Callable[[], None]) -> None:
        """Declare all queues and consume ours."""
        await queues.declare(connection, self._lanes)
        self._suspects.clear()
        for source in self.sources if not self.stopped else ():
            await self._consume(source, connection, check_soon)

    async def check(self, connection: Connection) -> None:
        """Check the consumers; raises ServerAway if one is lost, or leaves messages in its queue, NoLeader if RabbitMQ knows of none."""
        if self.stopped:
            return
        if lost := [each.source.queue for each in self.consumers if each.lost]:
            raise away(f"consumer lost: {', '.join(lost)}")
        pushed = [each for each in self.consumers if each.pushed]
        asked = [DEAD_QUEUE, *(each.source.queue for each in pushed)]  # at least one, to see that it answers
        ready = await queues.depths(connection, asked)
        self._find_dead(self._silent(), ready)
        await self._find_leaderless([each for each in pushed if each.source.queue not in ready], connection)

    def discard(self) -> None:
        """Forget the consumers; whatever they have not acknowledged will be delivered again."""
        for each in self.consumers:
            each.discard()
        self.consumers = []

    async def stop(self) -> None:
        """Cancel the consumers for good; what was delivered can still be acknowledged."""
        self.stopped = True
        with suppress(ServerAway):
            await within(STOP_S, _all(each.stop() for each in self.consumers))

    async def flush(self) -> None:
        """Give acknowledgements that are on their way a moment to leave."""
        with suppress(ServerAway):
            await within(FLUSH_S, _all(each.flush() for each in self.consumers))

    async def _consume(
        self, source: ConsumedQueue, connection: Connection, check_soon: Callable[[], None]
    ) -> None:
        channel = await within(CALL_S, connection.channel(publisher_confirms=False))
        consumer = QueueConsumer(source, channel, check_soon)
        self.consumers.append(consumer)
        await consumer.open()
        if source.lane in self.paused:
            return
        try:
            await consumer.consume()
        except NoAnswer:
            if self._one_node:  # in a cluster the queue may have no leader at the moment
                await self._delete_dead_queue(connection, source.queue)
            raise
        self._unanswered.pop(source.queue, None)

    async def _delete_dead_queue(self, connection: Connection, queue: str) -> None:
        """Delete a queue that stays silent although RabbitMQ answers; it will be declared anew, and hints are sent again.

        RabbitMQ (3.10 and 4.0), killed within half a second of a queue's declaration, forgets where the queue's files are: from
        then on it can be declared and counted, but nothing can be published to it or consumed from it, for ever.
        """
        await queues.depths(connection, [DEAD_QUEUE])  # raises if all of RabbitMQ is silent
        self._unanswered[queue] += 1
        if self._unanswered[queue] >= UNANSWERED_TIMES:
            await queues.delete(connection, queue)

    async def _find_leaderless(self, unknown: Sequence[QueueConsumer], connection: Connection) -> None:
        """Raise NoLeader if RabbitMQ does not know of our consumer of a queue: it asks the leader, and gets no answer."""
        if not unknown:
            return
        await asyncio.sleep(ASK_AGAIN_S)
        queue = unknown[0].source.queue
        if (
            unknown[0].pushed
            and not unknown[0].lost
            and queue not in await queues.depths(connection, [queue])
        ):
            raise NoLeader(SERVER, f"{queue} has no leader that answers")

    def _silent(self) -> list[QueueConsumer]:
        since = asyncio.get_running_loop().time() - self._watch_s
        return [
            each
            for each in self.consumers
            if each.pushed and each.delivered_at < since and each.unacknowledged < each.source.prefetch
        ]

    def _find_dead(self, silent: Sequence[QueueConsumer], ready: dict[str, int]) -> None:
        """Raise ServerAway if messages were ready twice in a row and none came: not a race but a dead consumer."""
        waiting = {each.source.queue: each.delivered for each in silent if ready.get(each.source.queue)}
        for queue, delivered in waiting.items():
            if self._suspects.get(queue) == delivered:
                raise away(f"{queue} has messages and delivers none")
        self._suspects = waiting


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*calls)
