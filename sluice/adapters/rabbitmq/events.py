"""Events of jobs, published to an exchange over a connection of their own: they hold up nothing that carries work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiormq import Connection, spec
from aiormq.abc import AbstractChannel

from sluice.adapters.rabbitmq.connection import BrokerConnection, is_blocked
from sluice.adapters.rabbitmq.publishing import PERSISTENT, is_cancelled
from sluice.adapters.rabbitmq.timeouts import CALL_S, CHECK_EVERY_S, SERVER, away, within
from sluice.core.job_event import CONTENT_TYPE, EXCHANGE, JobEvent
from sluice.core.runtime.telemetry import Event, Telemetry

EVENTS = f"{SERVER} for events"


class EventBroker:
    """A sluice.core.ports.EventPublisher. Its connection comes back by itself, for ever; `budget_s` bounds a publish."""

    def __init__(self, url: str, name: str, telemetry: Telemetry, budget_s: float) -> None:
        self._use = EventExchange(budget_s)
        self._connection = BrokerConnection(url, f"{name} events", self._use, self._report)
        self._telemetry = telemetry
        self._away = False

    def __repr__(self) -> str:
        return f"<EventBroker {self._connection}>"

    @property
    def connected(self) -> bool:
        """Whether publishing works, as far as is known."""
        return self._connection.up

    async def start(self) -> None:
        """Begin to connect. Returns at once, whether or not RabbitMQ is there."""
        self._connection.start()

    async def publish(self, event: JobEvent) -> None:
        """Return once RabbitMQ has confirmed the event. Raises ServerAway; the event may still arrive later."""
        await self._use.publish(event, self._connection.check_soon)

    async def close(self) -> None:
        """Close the connection, at the latest after 2 s."""
        await self._connection.close()

    def _report(self) -> None:
        """Report once that events cannot be published, and why: perhaps for them alone, as the exchange is refused."""
        if self._connection.away == self._away:
            return
        self._away = self._connection.away
        if self._away:
            self._telemetry.emit(Event.SERVER_AWAY, server=EVENTS, why=self._connection.why)
        else:
            self._telemetry.emit(Event.SERVER_BACK, server=EVENTS)


class EventExchange:
    """Declares the exchange, and publishes to it on one channel (a ConnectionUse)."""

    check_every_s = CHECK_EVERY_S

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._connection: Connection | None = None
        self._channel: AbstractChannel | None = None

    async def set_up(self, connection: Connection, check_soon: Callable[[], None]) -> None:
        """Declare the exchange and open the channel."""
        await _declare(connection)
        self._channel = await within(CALL_S, connection.channel())
        self._channel.closing.add_done_callback(lambda _: check_soon())
        self._connection = connection

    async def check(self, connection: Connection) -> None:
        """Declare the exchange again if it is gone. Raises ServerAway if the channel is closed, or the broker frozen."""
        if self._channel is None or self._channel.is_closed:
            raise away("channel for events lost")
        await _declare(connection)

    def discard(self) -> None:
        """Forget the connection: there is nothing to publish on."""
        self._connection = self._channel = None

    async def publish(self, event: JobEvent, check_soon: Callable[[], None]) -> None:
        """Return once RabbitMQ has confirmed the event. Raises ServerAway within the budget; it may still arrive later."""
        channel = self._usable()
        properties = spec.Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_id=event.id,
            headers={**event.headers},
        )
        try:
            async with asyncio.timeout(self._budget_s):
                await channel.basic_publish(
                    event.body, exchange=EXCHANGE, routing_key=event.routing_key, properties=properties
                )
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise away("connection lost before it confirmed") from None
        except Exception as error:
            check_soon()
            raise away("no confirmation in time" if isinstance(error, TimeoutError) else error) from error

    def _usable(self) -> AbstractChannel:
        if self._channel is None or self._connection is None:
            raise away("no connection")
        if is_blocked(self._connection):
            raise away("blocked by an alarm")
        return self._channel


async def _declare(connection: Connection) -> None:
    """Declare the exchange on a channel of its own, which a refusal closes."""
    channel = await within(CALL_S, connection.channel(publisher_confirms=False))
    await within(CALL_S, channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True))
    await within(CALL_S, channel.close())
