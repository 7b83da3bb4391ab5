"""Submit and wait for the result at a fixed rate: requests are sent by the clock, however slow the answers are.

A latency counts from the moment a request was due, so a server that stalls cannot hide behind a client that waits for it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from loadtests.bench.generator import BenchError

DEADLINE_S = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_GOOD = re.compile(rb"HTTP/1.1 200 .*\"state\":\"succeeded\"", re.DOTALL)


class Connection(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Hand over the answer once it is complete."""
        self._received += data
        head, gap, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if gap and length and len(body) >= int(length[1]) and self._answer:
            self._answer.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the answer that will not come."""
        self.is_lost = True
        if self._answer and not self._answer.done():
            self._answer.set_exception(BenchError(f"the connection was closed: {exc}"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the whole answer."""
        assert self._transport is not None  # noqa: S101  create_connection waits for it
        self._received, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()


class OpenLoop:
    """Sends the same request at a fixed rate over as many connections as that takes."""

    def __init__(self, url: str, request: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._request = request
        self._idle: deque[Connection] = deque()

    async def run(self, rate: float, seconds: float) -> list[float]:
        """Return the latencies in seconds. Raises BenchError for any answer but a finished job, TimeoutError."""
        start = perf_counter() + 0.1  # not the clock of the loop, which counts in milliseconds
        due = [start + number / rate for number in range(int(rate * seconds))]
        try:
            async with asyncio.timeout(seconds + DEADLINE_S):
                return await asyncio.gather(*map(self._one, due))
        finally:
            for connection in self._idle:
                connection.close()

    async def _one(self, due: float) -> float:
        await asyncio.sleep(due - perf_counter())
        connection = self._idle.pop() if self._idle else None
        if connection is None or connection.is_lost:  # servers close what is idle for some seconds
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._host, self._port)
        answer = await connection.ask(self._request)
        took = perf_counter() - due
        if not _GOOD.match(answer):
            raise BenchError(f"not a finished job: {answer[:600]!r}")
        self._idle.append(connection)
        return took


def latencies(url: str, request: bytes, rate: float, seconds: float) -> list[float]:
    """Return the seconds from the moment each request was due to its result."""
    try:
        return uvloop.run(OpenLoop(url, request).run(rate, seconds))
    except (TimeoutError, OSError) as error:
        raise BenchError(f"{url}: {type(error).__name__} at {rate:.0f} requests/s") from None
