"""Which queues exist, how they are declared, and how many messages of each a consumer holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from aiormq.abc import AbstractChannel, AbstractConnection

from sluice.adapters.rabbitmq.timeouts import CALL_S, within
from sluice.core.lanes import DEAD_QUEUE, Lane

DELETE_S = 15.0

Arguments: TypeAlias = dict[str, str]

_SHARES: Mapping[str, int] = {"high": 3, "normal": 3, "low": 1, "overflow": 1}
"""How the messages that are held are split: the small shares are enough for what fills only one slot in seven."""


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
    """Say how many messages to hold by priority: together at most twice the slots in ids, but one of each queue at least."""
    messages = max(1, 2 * lane.slots // lane.ids_per_message)
    whole = sum(_SHARES.values())
    return {priority: max(1, messages * share // whole) for priority, share in _SHARES.items()}


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
