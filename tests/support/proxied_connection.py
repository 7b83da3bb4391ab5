"""One connection through a proxy: two endpoints, and for each direction the bytes that have not arrived yet."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Set
from contextlib import suppress
from typing import Literal

Direction = Literal["forth", "back"]
TO_SERVER: Direction = "forth"
TO_CLIENT: Direction = "back"

_CLOSED = None
"""In a queue: the sender has gone."""


class Endpoint(asyncio.Protocol):
    """The program at one end of a connection."""

    def __init__(self, connection: ProxiedConnection, direction: Direction) -> None:
        self._connection, self._direction = connection, direction
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connection.connected(self)

    def data_received(self, data: bytes) -> None:
        self._connection.on_data(self._direction, data)
        self._connection.pipes[self._direction].put(data)

    def eof_received(self) -> bool:
        self._connection.pipes[self._direction].put(b"")
        return True

    def connection_lost(self, _: Exception | None) -> None:
        self._connection.pipes[self._direction].put(_CLOSED)

    def pause_writing(self) -> None:
        self._connection.source_of(self).pause()

    def resume_writing(self) -> None:
        self._connection.source_of(self).resume()

    def pause(self) -> None:
        """Stop reading for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class Pipe:
    """What one endpoint sends to the other, in order, each piece not before its time."""

    def __init__(self, connection: ProxiedConnection, delay: Callable[[], float]) -> None:
        self._connection, self._delay = connection, delay
        self._loop = connection.loop
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.target: Endpoint | None = None
        self.silent = False

    def put(self, data: bytes | None) -> None:
        """Queue these bytes, or the end of them."""
        last = self._queue[-1][0] if self._queue else 0.0
        self._queue.append((max(last, self._loop.time() + self._delay()), data))
        self.pump()

    def pump(self) -> None:
        """Deliver everything whose time has come, and schedule the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        target = self.target
        if self.silent or target is None or target.transport is None:
            return
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            self._deliver(target.transport, self._queue.popleft()[1])
        if self._queue:
            self._timer = self._loop.call_at(self._queue[0][0], self.pump)

    def _deliver(self, transport: asyncio.Transport, data: bytes | None) -> None:
        if data is _CLOSED:
            self._connection.reset()
        elif transport.is_closing():
            return
        elif data == b"":
            with suppress(OSError):  # it has already gone
                transport.write_eof()
            self._connection.half_closed()
        elif data is not None and self._connection.may_pass(len(data)):
            transport.write(data)


class ProxiedConnection:
    """A client and a server that believe they speak to each other."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        delay: Callable[[], float],
        on_data: Callable[[Direction, bytes], None],
        on_end: Callable[[ProxiedConnection], None],
    ) -> None:
        self.loop, self.on_data = loop, on_data
        self.client, self.server = Endpoint(self, TO_SERVER), Endpoint(self, TO_CLIENT)
        self.pipes: dict[Direction, Pipe] = {TO_SERVER: Pipe(self, delay), TO_CLIENT: Pipe(self, delay)}
        self.bytes_left: int | None = None
        self._on_end = on_end
        self._ended = False
        self._half_closed = 0

    def connected(self, endpoint: Endpoint) -> None:
        """Let what waits for this endpoint go, now that it is connected."""
        if self._ended:
            _abort(endpoint)
        elif endpoint is self.server:
            self.pipes[TO_SERVER].target, self.pipes[TO_CLIENT].target = self.server, self.client
            self.pipes[TO_SERVER].pump()

    def source_of(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint that sends to this one."""
        return self.server if endpoint is self.client else self.client

    def silence(self, pipes: Set[Direction]) -> None:
        """Hold back everything in these directions, and deliver what was held back in the others."""
        for direction, pipe in self.pipes.items():
            source = self.client if direction == TO_SERVER else self.server
            was, pipe.silent = pipe.silent, direction in pipes
            if pipe.silent and not was:
                source.pause()
            elif was and not pipe.silent:
                source.resume()
                pipe.pump()

    def may_pass(self, size: int) -> bool:
        """Count bytes, and reset the connection once more than allowed have passed."""
        if self.bytes_left is None:
            return True
        self.bytes_left -= size
        if self.bytes_left < 0:
            self.reset()
        return self.bytes_left >= 0

    def half_closed(self) -> None:
        """Note that one side has sent its last byte; after the second the connection is closed."""
        self._half_closed += 1
        if self._half_closed == len(self.pipes):
            self._ended = True
            self._on_end(self)
            for endpoint in (self.client, self.server):
                if endpoint.transport is not None:
                    endpoint.transport.close()

    def reset(self) -> None:
        """End it at once, with RST to both."""
        self._ended = True
        self._on_end(self)
        for endpoint in (self.client, self.server):
            _abort(endpoint)


def _abort(endpoint: Endpoint) -> None:
    if endpoint.transport is None:
        return
    sock: socket.socket | None = endpoint.transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    endpoint.transport.abort()
