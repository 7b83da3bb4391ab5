"""The connection that consumes: one hand per queue, and a watch for consumers that have silently died."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiormq import Connection

from sluice.adapters.rabbitmq import queues
from sluice.adapters.rabbitmq.deliveries import QueueConsumer, Source
from sluice.adapters.rabbitmq.timeouts import CALL_S, LOOK_EVERY_S, NoAnswer, away, within
from sluice.core.errors import ServerAway
from sluice.core.lanes import DEAD_QUEUE, Lane

STOP_S = 1.0
FLUSH_S = 0.5
MUTE_TIMES = 2


class Consuming:
    """Consumes the sources that were added before the connection came up (a `Use` of a link).

    `watch_s`: a queue with room in its hand that was silent so long is asked whether it has messages. Where it has, and
    stays silent until the next look, the connection is remade: the consumer is not there any more.
    """

    def __init__(self, lanes: Sequence[Lane], watch_s: float) -> None:
        self.look_every_s = min(LOOK_EVERY_S, watch_s / 2)
        self.sources: list[Source] = []
        self.hands: list[QueueConsumer] = []
        self.stopped = False
        self._lanes = lanes
        self._watch_s = watch_s
        self._suspects: dict[str, int] = {}
        self._mute: Counter[str] = Counter()

    async def furnish(self, connection: Connection, doubt: Callable[[], None]) -> None:
        """Declare all queues and consume ours."""
        await queues.declare(connection, self._lanes)
        self._suspects.clear()
        for source in self.sources if not self.stopped else ():
            await self._take_in_hand(source, connection, doubt)

    async def look(self, connection: Connection) -> None:
        """Raise ServerAway where a consumer is lost, or lets messages lie."""
        if self.stopped:
            return
        if lost := [hand.source.queue for hand in self.hands if hand.lost]:
            raise away(f"consumer lost: {', '.join(lost)}")
        silent = self._silent()
        asked = {DEAD_QUEUE, *(hand.source.queue for hand in silent)}  # at least one, to hear that it answers
        self._compare(silent, await queues.depths(connection, asked))

    def lose(self) -> None:
        """Whatever was in hand will be delivered again."""
        for hand in self.hands:
            hand.let_go()
        self.hands = []

    async def stop(self) -> None:
        """Cancel the consumers, for good; what is in hand can still be acknowledged."""
        self.stopped = True
        with suppress(ServerAway):
            await within(STOP_S, _all(hand.stop() for hand in self.hands))

    async def flush(self) -> None:
        """Give acknowledgements that are on their way a moment to leave."""
        with suppress(ServerAway):
            await within(FLUSH_S, _all(hand.flush() for hand in self.hands))

    async def _take_in_hand(self, source: Source, connection: Connection, doubt: Callable[[], None]) -> None:
        channel = await within(CALL_S, connection.channel(publisher_confirms=False))
        hand = QueueConsumer(source, channel, doubt)
        self.hands.append(hand)
        try:
            await hand.open()
        except NoAnswer:
            await self._repair(connection, source.queue)
            raise
        self._mute.pop(source.queue, None)

    async def _repair(self, connection: Connection, queue: str) -> None:
        """Delete a queue that stays mute although RabbitMQ answers; it will be declared anew, and hints are sent again.

        RabbitMQ (3.10 and 4.0), killed within half a second of a queue's declaration, forgets where the queue's files are: from
        then on it can be declared and counted, but nothing can be published to it or consumed from it, for ever.
        """
        await queues.depths(connection, [DEAD_QUEUE])  # raises where all of RabbitMQ is mute
        self._mute[queue] += 1
        if self._mute[queue] >= MUTE_TIMES:
            await queues.delete(connection, queue)

    def _silent(self) -> list[QueueConsumer]:
        since = asyncio.get_running_loop().time() - self._watch_s
        return [hand for hand in self.hands if hand.heard_at < since and hand.in_hand < hand.source.prefetch]

    def _compare(self, silent: Sequence[QueueConsumer], ready: dict[str, int]) -> None:
        """Twice in a row messages were ready and none came: not a race but a dead consumer."""
        waiting = {hand.source.queue: hand.delivered for hand in silent if ready[hand.source.queue]}
        for queue, delivered in waiting.items():
            if self._suspects.get(queue) == delivered:
                raise away(f"{queue} has messages and delivers none")
        self._suspects = waiting


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*calls)
