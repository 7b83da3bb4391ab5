"""One connection to RabbitMQ, restored for ever: the only place that connects, watches and reconnects.

The driver's own reconnecting is not used: it has been seen to come back without its consumers. Here anything doubtful
ends the connection, and a new one is set up from scratch, so there is one way back and it is always the same.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Protocol

from aiormq import Connection
from yarl import URL

from sluice.adapters.rabbitmq.connection_attempt import CLOSE_S, ConnectionAttempt
from sluice.adapters.rabbitmq.timeouts import NoLeader, away, reason
from sluice.core.addresses import split_hosts
from sluice.core.errors import CredentialsRefused
from sluice.core.runtime.tasks import TaskSet

HEARTBEAT_S = 5
PAUSE_S = 1.0
GATHER_S = 0.1
"""Seconds in which requests for a check gather into one."""


class ConnectionUse(Protocol):
    """What a connection is used for."""

    check_every_s: float

    async def set_up(self, connection: Connection, check_soon: Callable[[], None]) -> None:
        """Declare and open channels on a new connection. `check_soon` asks for a check. Raises ServerAway."""

    async def check(self, connection: Connection) -> None:
        """Raise ServerAway to have it remade, NoLeader to have it kept as not working.

        Called every `check_every_s` seconds and whenever a check is asked for.
        """

    def discard(self) -> None:
        """Forget the connection: it is gone, or is about to be."""


class BrokerConnection:
    """Keeps one connection for `use`; `on_change` is called whenever `up` or `away` may have changed.

    Each attempt is made at the next of the hosts in `url`. `locked_out`: it is refused for its user or password. `alive_at` is when it was last known to work, by the clock of the loop.
    """

    def __init__(self, url: str, name: str, use: ConnectionUse, on_change: Callable[[], None]) -> None:
        self.name = name
        self.up = False
        self.away = False
        self.why = ""
        self.locked_out = False
        self.alive_at = -inf
        self.connection: Connection | None = None
        nodes = [URL(each).update_query(heartbeat=HEARTBEAT_S) for each in split_hosts(url)]
        random.shuffle(nodes)  # processes spread over the nodes of a cluster
        self._nodes = itertools.cycle(nodes)
        self._use = use
        self._on_change = on_change
        self._check_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<BrokerConnection {self.name}: {'up' if self.up else self.why or 'connecting'}>"

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._record_alive()
        self._task = TaskSet[None]().keep(self._reconnect_for_ever, self.name)

    async def close(self) -> None:
        """End it for good, within twice CLOSE_S."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=2 * CLOSE_S)

    def check_soon(self) -> None:
        """Ask for a check: something looked wrong."""
        self._check_asked.set()

    def silent_s(self) -> float:
        """Seconds since it was last known to work; 0 while it does. A broker that froze is silent since the last check."""
        return 0.0 if self.up else asyncio.get_running_loop().time() - self.alive_at

    async def _reconnect_for_ever(self) -> None:
        while True:
            attempt = ConnectionAttempt(next(self._nodes))
            try:
                await self._use_until_lost(attempt)
            except Exception as error:  # noqa: BLE001  whatever it is, the connection must come back
                self.locked_out = isinstance(error, CredentialsRefused)
                self._change(up=False, why=reason(error))
            finally:
                self.up, self.connection = False, None
                self._use.discard()
                await attempt.close()
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  spreading, not secrecy

    async def _use_until_lost(self, attempt: ConnectionAttempt) -> None:
        self._check_asked.clear()
        connection = await attempt.connect(self.name)
        connection.closing.add_done_callback(lambda _: self.check_soon())
        await self._use.set_up(connection, self.check_soon)
        self.connection = connection
        self._record_alive()
        self._change(up=True)
        while True:
            await self._wait_for_check()
            await self._check(connection)

    async def _wait_for_check(self) -> None:
        """Return when a check is due or was asked for; a crowd of requests is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._use.check_every_s):
                await self._check_asked.wait()
        if self._check_asked.is_set():
            await asyncio.sleep(GATHER_S)
            self._check_asked.clear()

    async def _check(self, connection: Connection) -> None:
        if connection.is_closed:
            self._record_alive()  # it was closed just now: until then it worked
            raise away("connection lost")
        if is_blocked(connection):
            await self._wait_until_unblocked(connection)
        else:
            await self._check_use(connection)

    async def _check_use(self, connection: Connection) -> None:
        try:
            await self._use.check(connection)
        except NoLeader as error:  # over this connection messages may still come, over a new one they cannot
            self._change(up=False, why=reason(error))
        else:
            self._record_alive()
            if not self.up:
                self._change(up=True)

    async def _wait_until_unblocked(self, connection: Connection) -> None:
        """Wait while RabbitMQ has an alarm and reads nothing from us: asking it anything would only time out."""
        self._change(up=False, why="blocked by an alarm")
        relief = asyncio.ensure_future(connection.ready())
        await asyncio.wait({relief, connection.closing}, return_when=asyncio.FIRST_COMPLETED)
        relief.cancel()
        if not connection.is_closed:
            self._change(up=True)

    def _record_alive(self) -> None:
        self.alive_at = asyncio.get_running_loop().time()

    def _change(self, *, up: bool, why: str = "") -> None:
        self.up, self.away, self.why = up, not up, why
        self._on_change()


def is_blocked(connection: Connection) -> bool:
    """Return whether RabbitMQ blocks publishers. The driver only waits: ready() returns at once unless blocked."""
    asking = connection.ready()
    try:
        asking.send(None)
    except StopIteration:
        return False
    asking.close()
    return True
