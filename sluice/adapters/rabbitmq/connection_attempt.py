"""One attempt to connect to RabbitMQ. It keeps its socket: only closing that ends a handshake with a frozen broker in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiormq import Connection, TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

from sluice.adapters.rabbitmq.timeouts import within
from sluice.core.errors import ServerAway

CONNECT_S = 3.0
CLOSE_S = 0.75


class ConnectionAttempt(TransportFactory):
    """A connection and the socket under it."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the socket (called by the driver)."""
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self._writer = await factory.create(url, **kwargs)
        return reader, self._writer

    async def connect(self, name: str) -> Connection:
        """Open the connection. Raises ServerAway."""
        self._connection = Connection(
            self._url, transport_factory=self, client_properties={"connection_name": name}
        )
        await within(CONNECT_S, self._connection.connect())
        return self._connection

    async def close(self) -> None:
        """Close the connection if the broker answers, and the socket in any case."""
        if self._connection:
            with suppress(ServerAway):
                await within(CLOSE_S, self._connection.close())
        if self._writer:
            self._writer.transport.abort()
