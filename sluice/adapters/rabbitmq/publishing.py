"""The connection that publishes: persistent, mandatory, confirmed, many at once on one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiormq import Connection, PublishError, spec
from aiormq.abc import AbstractChannel

from sluice.adapters.rabbitmq import queues
from sluice.adapters.rabbitmq.connection import is_blocked
from sluice.adapters.rabbitmq.timeouts import CALL_S, LOOK_EVERY_S, SERVER, NoQueue, away, within
from sluice.core.errors import ServerAway
from sluice.core.lanes import Lane

PERSISTENT = 2


class Publishing:
    """Publishes to queues by name (a `Use` of a link)."""

    look_every_s = LOOK_EVERY_S

    def __init__(self, lanes: Sequence[Lane], budget_s: float) -> None:
        self._lanes = lanes
        self._budget_s = budget_s
        self._connection: Connection | None = None
        self._channel: AbstractChannel | None = None
        self._doubt: Callable[[], None] = _nobody

    async def furnish(self, connection: Connection, doubt: Callable[[], None]) -> None:
        """Declare all queues and open the channel."""
        await queues.declare(connection, self._lanes)
        self._channel = await within(CALL_S, connection.channel())
        self._channel.closing.add_done_callback(lambda _: doubt())
        self._connection, self._doubt = connection, doubt

    async def look(self, connection: Connection) -> None:
        """The queues may be gone, the channel closed, or the broker frozen."""
        if self._channel is None or self._channel.is_closed:
            raise away("publishing channel lost")
        await queues.declare(connection, self._lanes)

    def lose(self) -> None:
        """There is nothing to publish on."""
        self._connection = self._channel = None

    async def publish(self, queue: str, body: bytes) -> None:
        """Return once RabbitMQ has confirmed the message. Raises ServerAway within the budget; it may still arrive later."""
        channel = self._usable()
        try:
            async with asyncio.timeout(self._budget_s):
                await channel.basic_publish(
                    body,
                    routing_key=queue,
                    mandatory=True,
                    properties=spec.Basic.Properties(delivery_mode=PERSISTENT),
                )
        except asyncio.CancelledError:
            if _asked_to_stop():
                raise
            raise away("connection lost before it confirmed") from None
        except Exception as error:
            self._doubt()
            raise _refusal(error, queue) from error

    def _usable(self) -> AbstractChannel:
        if self._channel is None or self._connection is None:
            raise away("no connection")
        if is_blocked(self._connection):
            self._doubt()
            raise away("blocked by an alarm")
        return self._channel


def _nobody() -> None:
    """Nobody is there to doubt before the first connection."""


def _asked_to_stop() -> bool:
    """Whether a CancelledError is meant for us; where it is not, the driver raised it for a lost connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refusal(error: Exception, queue: str) -> ServerAway:
    if isinstance(error, TimeoutError):
        return away("no confirmation in time")
    if isinstance(error, PublishError):
        return NoQueue(SERVER, f"there is no queue {queue}")
    return away(error)
