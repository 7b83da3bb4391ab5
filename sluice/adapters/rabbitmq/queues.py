"""Which queues exist, how they are declared, and how many messages of each a consumer holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from aiormq.abc import AbstractChannel, AbstractConnection

from sluice.adapters.rabbitmq.timeouts import CALL_S, within
from sluice.core.lanes import DEAD_QUEUE, WEIGHTS, Lane

DELETE_S = 15.0

Arguments: TypeAlias = dict[str, str]

MOST_PREFETCH = 65_535
"""RabbitMQ takes no larger one."""


def names(lanes: Sequence[Lane]) -> list[str]:
    """Name every queue of these lanes; the dead-letter queue comes first, so that nothing is dropped for lack of it."""
    return [DEAD_QUEUE, *(name for lane in lanes for name in lane.queues.values())]


def arguments(name: str) -> Arguments:
    """Return the arguments of a queue. They must never change: RabbitMQ refuses (406) to declare it differently again."""
    if name == DEAD_QUEUE:
        return {"x-queue-type": "quorum"}
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD_QUEUE,
    }


def prefetch(lane: Lane) -> dict[str, int]:
    """Say how many messages to hold by priority: of `normal` as many as fill the slots with ids, of the others by their weights.

    Jobs of milliseconds end sooner than RabbitMQ sends the next messages, so that all that is in hand runs each time. Then
    this is what keeps the weights, and it has to keep them in the smallest lane too.
    """
    rounds = max(1, lane.slots // (WEIGHTS["normal"] * lane.ids_per_message))
    return {priority: min(rounds * weight, MOST_PREFETCH) for priority, weight in WEIGHTS.items()}


async def declare(connection: AbstractConnection, lanes: Sequence[Lane]) -> None:
    """Declare every queue. Raises ServerAway, also if one exists with other arguments."""
    channel = await _side_channel(connection)
    for name in names(lanes):
        call = channel.queue_declare(name, durable=True, arguments=arguments(name))  # type: ignore[arg-type]  # dict is invariant
        await within(CALL_S, call)
    await within(CALL_S, channel.close())


async def delete(connection: AbstractConnection, name: str) -> None:
    """Delete a queue with all its hints. Raises ServerAway."""
    channel = await _side_channel(connection)
    await within(DELETE_S, channel.queue_delete(name))
    await within(CALL_S, channel.close())


async def depths(connection: AbstractConnection, wanted: Iterable[str]) -> dict[str, int]:
    """Count ready messages by queue name, where that is known. Raises ServerAway, also if one of the queues is missing.

    RabbitMQ answers for a queue whose leader is away, too: no messages, no consumers. So none is believed where there are consumers.
    """
    channel = await _side_channel(connection)
    found = {}
    for name in wanted:
        answer = await within(CALL_S, channel.queue_declare(name, passive=True))
        if answer.message_count or answer.consumer_count:
            found[name] = answer.message_count or 0
    await within(CALL_S, channel.close())
    return found


async def _side_channel(connection: AbstractConnection) -> AbstractChannel:
    """Open a channel for questions: a refused one closes its channel, which must not be the one that works."""
    return await within(CALL_S, connection.channel(publisher_confirms=False))
