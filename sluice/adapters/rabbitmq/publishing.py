"""The connection that publishes: persistent, mandatory, confirmed, many messages at once on one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiormq import Connection, PublishError, spec
from aiormq.abc import AbstractChannel

from sluice.adapters.rabbitmq import queues
from sluice.adapters.rabbitmq.connection import is_blocked
from sluice.adapters.rabbitmq.timeouts import CALL_S, CHECK_EVERY_S, SERVER, NoQueue, away, within
from sluice.core.errors import ServerAway
from sluice.core.lanes import Lane

PERSISTENT = 2
UNCONFIRMED_S = 15.0
"""Seconds for which a queue may confirm nothing. Where its leader froze, another is elected within 11 s: a channel that has
published to the queue before finds that one by itself, any other never does."""


class Publishing:
    """Publishes to queues by name (a ConnectionUse)."""

    check_every_s = CHECK_EVERY_S

    def __init__(self, lanes: Sequence[Lane], budget_s: float) -> None:
        self._lanes = lanes
        self._budget_s = budget_s
        self._connection: Connection | None = None
        self._channel: AbstractChannel | None = None
        self._check_soon: Callable[[], None] = _do_nothing
        self._unconfirmed: dict[str, float] = {}

    async def set_up(self, connection: Connection, check_soon: Callable[[], None]) -> None:
        """Declare all queues and open the channel."""
        await queues.declare(connection, self._lanes)
        self._channel = await within(CALL_S, connection.channel())
        self._channel.closing.add_done_callback(lambda _: check_soon())
        self._connection, self._check_soon = connection, check_soon

    async def check(self, connection: Connection) -> None:
        """Check the channel; declare queues again that are gone. Raises ServerAway if it is closed or of no use, or the broker frozen."""
        if self._channel is None or self._channel.is_closed:
            raise away("publishing channel lost")
        for queue, since in self._unconfirmed.items():
            if asyncio.get_running_loop().time() - since >= UNCONFIRMED_S:
                raise away(f"{queue} confirms nothing")
        await queues.declare(connection, self._lanes)

    def discard(self) -> None:
        """Forget the connection: there is nothing to publish on."""
        self._connection = self._channel = None
        self._unconfirmed.clear()

    async def publish(self, queue: str, body: bytes) -> None:
        """Return once RabbitMQ has confirmed the message. Raises ServerAway within the budget; it may still arrive later."""
        channel, began = self._usable(), asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._budget_s):
                await channel.basic_publish(
                    body,
                    routing_key=queue,
                    mandatory=True,
                    properties=spec.Basic.Properties(delivery_mode=PERSISTENT),
                )
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise away("connection lost before it confirmed") from None
        except Exception as error:
            if isinstance(error, TimeoutError) and channel is self._channel and not self._blocked:
                self._unconfirmed.setdefault(queue, began)
            self._check_soon()
            raise _refusal(error, queue) from error
        self._unconfirmed.pop(queue, None)

    def _usable(self) -> AbstractChannel:
        if self._channel is None or self._connection is None:
            raise away("no connection")
        if self._blocked:
            self._check_soon()
            raise away("blocked by an alarm")
        return self._channel

    @property
    def _blocked(self) -> bool:
        return self._connection is not None and is_blocked(self._connection)


def _do_nothing() -> None:
    """Do nothing: before the first connection there is nothing to check."""


def is_cancelled() -> bool:
    """Return whether a CancelledError is meant for us; if not, the driver raised it for a lost connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refusal(error: Exception, queue: str) -> ServerAway:
    if isinstance(error, TimeoutError):
        return away("no confirmation in time")
    if isinstance(error, PublishError):
        return NoQueue(SERVER, f"there is no queue {queue}")
    return away(error)
