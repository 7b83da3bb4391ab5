"""One connection to RabbitMQ that is remade for ever: the only place that connects, watches and reconnects.

The driver's own reconnecting is not used: it has been seen to come back without its consumers. Here anything doubtful
ends the connection, and a new one is furnished from nothing, so there is one way back and it is always the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any, Protocol

from aiormq import Connection, TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

from sluice.adapters.rabbitmq.timeouts import away, reason, within
from sluice.core.errors import ServerAway

HEARTBEAT_S = 5
CONNECT_S = 3.0
HANG_UP_S = 0.75
PAUSE_S = 1.0
SETTLE_S = 0.1


class Use(Protocol):
    """What a connection is for."""

    look_every_s: float

    async def furnish(self, connection: Connection, doubt: Callable[[], None]) -> None:
        """The connection is new: declare, open channels. `doubt` asks for a look. Raises ServerAway."""

    async def look(self, connection: Connection) -> None:
        """Is all well? Called every `look_every_s` seconds and after each doubt. Raises ServerAway to have it remade."""

    def lose(self) -> None:
        """The connection is gone, or is about to be."""


class BrokerConnection:
    """Keeps one connection for `use`; `on_change` is called whenever `up` or `away` may have changed.

    `heard_at` is when it was last known to work, by the clock of the loop.
    """

    def __init__(self, url: str, name: str, use: Use, on_change: Callable[[], None]) -> None:
        self.name = name
        self.up = False
        self.away = False
        self.why = ""
        self.heard_at = -inf
        self.connection: Connection | None = None
        self._url = URL(url).update_query(heartbeat=HEARTBEAT_S)
        self._use = use
        self._on_change = on_change
        self._doubted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Link {self.name}: {'up' if self.up else self.why or 'connecting'}>"

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._heard()
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=self.name)

    async def close(self) -> None:
        """End it for good, within twice HANG_UP_S."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=2 * HANG_UP_S)

    def doubt(self) -> None:
        """Something looked wrong: have a look soon."""
        self._doubted.set()

    async def _keep(self) -> None:
        while True:
            line = _Line(self._url)
            try:
                await self._live(line)
            except Exception as error:  # noqa: BLE001  whatever it is, the connection must come back
                self._change(up=False, why=reason(error))
            finally:
                self.up, self.connection = False, None
                self._use.lose()
                await line.hang_up()
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  spreading, not secrecy

    async def _live(self, line: _Line) -> None:
        self._doubted.clear()
        connection = await line.connect(self.name)
        connection.closing.add_done_callback(lambda _: self._doubted.set())
        await self._use.furnish(connection, self.doubt)
        self.connection = connection
        self._heard()
        self._change(up=True)
        while True:
            await self._pause()
            await self._check(connection)

    async def _pause(self) -> None:
        """Wait for a doubt or the next look; a crowd of doubts is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._use.look_every_s):
                await self._doubted.wait()
        if self._doubted.is_set():
            await asyncio.sleep(SETTLE_S)
            self._doubted.clear()

    async def _check(self, connection: Connection) -> None:
        if connection.is_closed:
            self._heard()  # somebody closed it just now: until then it worked
            raise away("connection lost")
        if is_blocked(connection):
            await self._sit_out(connection)
        else:
            await self._use.look(connection)
            self._heard()

    async def _sit_out(self, connection: Connection) -> None:
        """RabbitMQ has an alarm and reads nothing from us: asking it anything would only time out."""
        self._change(up=False, why="blocked by an alarm")
        relief = asyncio.ensure_future(connection.ready())
        await asyncio.wait({relief, connection.closing}, return_when=asyncio.FIRST_COMPLETED)
        relief.cancel()
        if not connection.is_closed:
            self._change(up=True)

    def silent_s(self) -> float:
        """Seconds since it was last known to work; 0 while it does. A broker that froze is silent since the last look."""
        return 0.0 if self.up else asyncio.get_running_loop().time() - self.heard_at

    def _heard(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def _change(self, *, up: bool, why: str = "") -> None:
        self.up, self.away, self.why = up, not up, why
        self._on_change()


def is_blocked(connection: Connection) -> bool:
    """True while RabbitMQ holds publishers back. The driver tells only by waiting: ready() returns at once unless blocked."""
    asking = connection.ready()
    try:
        asking.send(None)
    except StopIteration:
        return False
    asking.close()
    return True


class _Line(TransportFactory):
    """One attempt at a connection, with a hold on its socket: only that ends a conversation with a frozen broker in time."""

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
        """The open connection. Raises ServerAway."""
        self._connection = Connection(
            self._url, transport_factory=self, client_properties={"connection_name": name}
        )
        await within(CONNECT_S, self._connection.connect())
        return self._connection

    async def hang_up(self) -> None:
        """Say good-bye where somebody listens, and close the socket in any case."""
        if self._connection:
            with suppress(ServerAway):
                await within(HANG_UP_S, self._connection.close())
        if self._writer:
            self._writer.transport.abort()
