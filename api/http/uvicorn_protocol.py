"""uvicorn's HTTP/1.1 protocol, with each answer sent in one system call instead of two, and with bounds for heads.

uvicorn writes head and body separately, and uvloop sends each at once: on small answers the second send, and the client's
second wake-up, cost more than all of our own work (docs/performance.md). It keeps headers of any length, and so does its
parser, before anybody has looked at a key; and it waits for ever for a request that was not even begun, or not ended.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.asgi import Header
from api.http.edge import SECURITY
from api.http.errors import HeadersTooLarge, RequestTimeout
from api.http.problems import problem
from api.http.response import LINGER_S
from sluice.errors import SluiceError

MOST_JOINED = 64 * 1024
"""Bytes that wait at most: beyond them the real transport must see the data, so that it can slow the writer down."""


class JoinedWrites:
    """A transport that sends everything written in one turn of the loop at once; the rest is left to the real one."""

    __slots__ = ("_call_soon", "_parts", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send these bytes at the end of this turn, or at once if they are many."""
        if not self._parts:
            self._call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST_JOINED:
            self.flush()

    def flush(self) -> None:
        """Send what was written."""
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """Send what was written, then close."""
        self.flush()
        self._transport.close()


MOST_HEAD = 32 * 1024
"""Bytes of a request's target and headers together, and of what follows a body in parts."""


class NoTrailers(list[Header]):
    """Where a request's trailers go: nobody reads them, so they are not kept."""

    def append(self, _: Header, /) -> None:
        """Drop it."""


_NO_TRAILERS = NoTrailers()


class Protocol(HttpToolsProtocol):
    """What the api's server speaks. A head may take as long as a connection may be idle."""

    _refused = False
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while the connection has no request, but for the time between two, which uvicorn watches."""
    _unparsed = 0
    """Bytes that came since a head was complete or a part of a body arrived: the parser may hold them all, unseen."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Join the writes of a new connection."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, but refuse a head as soon as it is too large, and drop the rest of one that was refused.

        As much of it as a head may have comes first, so that nothing is made of more.
        """
        self._feed(data[: MOST_HEAD + 1])
        if len(data) > MOST_HEAD + 1:
            self._feed(data[MOST_HEAD + 1 :])

    def _feed(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MOST_HEAD and not self.transport.is_closing():
            self._refuse(HeadersTooLarge())
        elif self.cycle is None or self.cycle.response_complete:
            if self._unparsed == len(data):  # a head begins
                self._stop_head_timer()
            self._await_head()

    def on_headers_complete(self) -> None:
        """Start the request. Raises HeadersTooLarge, which ends the parsing before anybody sees the request."""
        self._stop_head_timer()
        if self._unparsed > MOST_HEAD and self._head_size() > MOST_HEAD:
            raise HeadersTooLarge
        self._unparsed = 0
        super().on_headers_complete()
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """Add a part to the body."""
        self._unparsed = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed; what is too large is answered where it was noticed."""
        if self._unparsed <= MOST_HEAD:
            super().send_400_response(msg)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _await_head(self) -> None:
        """Give the client its time for a head; what comes of it meanwhile does not prolong that."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self._give_up_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_head(self) -> None:
        """Answer 408 if a request was begun; a connection that was opened in advance is just closed."""
        if self._unparsed and not self._refused:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: SluiceError) -> None:
        """Answer and close, but not before the client had time to read it; keep nothing of what it sent."""
        self._refused, self.headers = True, []
        self.parser = None  # type: ignore[assignment]  # as uvicorn has it
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an answer here would be taken for that of the request before
            return
        self.transport.write(_refusal(error))
        self.loop.call_later(LINGER_S, self.transport.close)


def _refusal(error: SluiceError) -> bytes:
    reply = problem(error, "")
    headers = b"".join(b"%b: %b\r\n" % header for header in (*reply.headers, *SECURITY))
    return b"%b%b\r\n%b" % (STATUS_LINE[reply.status], headers, reply.body)
