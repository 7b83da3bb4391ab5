"""What the tests of the RabbitMQ connection share: a proxy before the broker, a consumer, and ways to publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import aiormq
from yarl import URL

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import Broker
from sluice.core.envelope import decode
from sluice.core.errors import ServerAway
from sluice.core.job import Message
from sluice.core.lanes import Lane
from sluice.core.ports import Delivery
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.proxy import Proxies, Proxy
from tests.support.waiting import until

BUDGET_S = 0.6
ACK_FRAME = b"\x00\x3c\x00\x50"
"""Class and method of basic.ack, as it goes over the wire."""


@asynccontextmanager
async def proxied(rabbitmq: RabbitMQ) -> AsyncIterator[tuple[Proxy, str]]:
    """Put a proxy that counts acknowledgements before the broker; yield it and the URL that leads through it."""
    proxies = Proxies()
    proxy = proxies.add(rabbitmq.port, counting=ACK_FRAME)
    try:
        yield proxy, str(URL(rabbitmq.url).with_port(proxy.port))
    finally:
        proxies.close()


class Consumer:
    """Keeps deliveries, and acknowledges them unless it is to hold them."""

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if not self.hold:
            delivery.acknowledge()

    @property
    def ids(self) -> list[str]:
        return [each for delivery in self.deliveries for each in decode(delivery.body)]


class Events(list[tuple[Event, dict[str, Any]]]):
    """Everything that was emitted."""

    def __call__(self, event: Event, count: int, fields: dict[str, Any]) -> None:
        self.append((event, fields))

    @property
    def names(self) -> list[Event]:
        return [event for event, _ in self]


@asynccontextmanager
async def running(
    url: str, lane: Lane, on_delivery: Consumer | None = None, events: Events | None = None, **options: Any
) -> AsyncIterator[Broker]:
    broker = Broker(
        url, "test", [lane], Telemetry(*([events] if events is not None else [])), BUDGET_S, **options
    )
    if on_delivery is not None:
        broker.consume(lane, on_delivery)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()


async def until_ready(broker: Broker) -> None:
    await until(lambda: broker.connected and broker.consuming)


def message(lane: Lane, priority: str = "normal", ids: int = 1) -> Message:
    return Message(1, lane.name, priority, tuple(str(uuid4()) for _ in range(ids)))


async def publish_until_confirmed(broker: Broker, lane: Lane, timeout_s: float = 45) -> str:
    """Publish again and again, as the keeper does, until it works; return the id."""
    new = message(lane)
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await broker.publish(new)
                return new.ids[0]
            except ServerAway:
                await asyncio.sleep(0.02)


async def until_refused(broker: Broker, lane: Lane) -> None:
    """Publish until RabbitMQ refuses: it announces an alarm to a connection only when that publishes."""
    async with asyncio.timeout(45):
        with suppress(ServerAway):
            while True:
                await broker.publish(message(lane))


@asynccontextmanager
async def operator(rabbitmq: RabbitMQ) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """Open a channel of somebody else."""
    connection = await aiormq.connect(rabbitmq.url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()
