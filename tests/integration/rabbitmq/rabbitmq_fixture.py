"""What the tests of the RabbitMQ connection share: a proxy that cuts lines, a consumer, and ways to wait."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
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

BUDGET_S = 0.6
ACK_FRAME = b"\x00\x3c\x00\x50"


class Proxy:
    """Stands between us and the broker, counts acknowledgements, and cuts every connection when told to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self.accepted = 0
        self.acknowledgements = 0

    @property
    def connections(self) -> int:
        return len(self._lines)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        line = (writer, broker_writer)
        self._lines.add(line)
        self.accepted += 1
        try:
            ways = [
                asyncio.create_task(self._copy(reader, broker_writer, counting=True)),
                asyncio.create_task(self._copy(broker_reader, writer, counting=False)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lines.discard(line)
            _reset(line)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counting: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self.acknowledgements += data.count(ACK_FRAME) if counting else 0
                writer.write(data)

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for line in list(self._lines):
            _reset(line)


def _reset(line: Iterable[asyncio.StreamWriter]) -> None:
    for writer in line:
        sock: socket.socket | None = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@asynccontextmanager
async def proxied(rabbitmq: RabbitMQ) -> AsyncIterator[tuple[Proxy, str]]:
    proxy = Proxy(rabbitmq.port)
    listener = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy, str(URL(rabbitmq.url).with_port(port))
    finally:
        listener.close()
        proxy.cut()
        await until(lambda: proxy.connections == 0)


class Consumer:
    """What a test does with deliveries: keeps them, and acknowledges them unless told to hold them."""

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


async def until(condition: Callable[[], object], timeout_s: float = 45) -> None:
    """Wait for a condition to hold, or fail."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.005)


async def in_place(broker: Broker) -> None:
    await until(lambda: broker.connected and broker.consuming)


def message(lane: Lane, priority: str = "normal", ids: int = 1) -> Message:
    return Message(1, lane.name, priority, tuple(str(uuid4()) for _ in range(ids)))


async def published(broker: Broker, lane: Lane, timeout_s: float = 45) -> str:
    """Publish as the keeper does, again and again, until it works; returns the id."""
    new = message(lane)
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await broker.publish(new)
                return new.ids[0]
            except ServerAway:
                await asyncio.sleep(0.02)


async def until_refused(broker: Broker, lane: Lane) -> None:
    """RabbitMQ tells a connection of an alarm only when it publishes."""
    async with asyncio.timeout(45):
        with suppress(ServerAway):
            while True:
                await broker.publish(message(lane))


@asynccontextmanager
async def operator(rabbitmq: RabbitMQ) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """Somebody else's hand on the broker."""
    connection = await aiormq.connect(rabbitmq.url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()
