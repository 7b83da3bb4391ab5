"""The broker for when RabbitMQ is not configured: consumers poll, and are woken when there is work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf

from sluice.adapters.rabbitmq.timeouts import SERVER, away
from sluice.core.errors import NotConfigured
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.ports import DeliverySource, OnDelivery
from sluice.core.runtime.telemetry import Event, Telemetry

REMEDY = "consumers pull from the record; set SLUICE_RABBITMQ_URL to distribute work through RabbitMQ"


class NullBroker:
    """Stands in for `Broker`. A message is only a call for its lane: the ids are in the record, where consumers look.

    `call` raises ServerAway; then the keeper comes back to the outbox row, and consumers find the jobs by themselves.
    """

    configured = False
    connected = True
    silent_s = inf

    def __init__(self, call: Callable[[str], Awaitable[None]], telemetry: Telemetry) -> None:
        self._call, self._telemetry = call, telemetry

    def __repr__(self) -> str:
        return "<NullBroker>"

    def consume(self, lane: Lane, on_delivery: OnDelivery) -> DeliverySource | None:
        """Do nothing: there are no deliveries."""
        return None

    def consume_dead(self, on_delivery: OnDelivery) -> None:
        """Do nothing: there are no dead letters."""

    async def start(self) -> None:
        """Log that there is no RabbitMQ."""
        self._telemetry.emit(Event.RABBITMQ_ABSENT, remedy=REMEDY)

    async def publish(self, message: Message) -> None:
        """Call for consumers of the lane. Raises ServerAway."""
        await self._call(message.lane)

    async def stop_consuming(self) -> None:
        """Do nothing: there is nothing to stop."""

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    async def ping(self, timeout_s: float) -> None:
        """Raises NotConfigured."""
        raise NotConfigured(SERVER, REMEDY)

    async def depths(self) -> dict[str, int]:
        """Raises ServerAway: there are no queues to count."""
        raise away("not configured")
