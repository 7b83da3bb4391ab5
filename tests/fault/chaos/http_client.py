"""A small HTTP client that knows whether a request may have reached the server; everything in the log depends on that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

import httptools
import orjson

PATIENCE_S = 15.0
"""A request that has no answer by then hangs."""
MOST_IDLE = 16
"""Connections kept for later, so that a process's open files do not grow with its worst moment."""


class NotSent(Exception):
    """Nobody took the connection: the request reached no one."""


class NoAnswer(Exception):
    """The request was sent and the connection ended: the outcome is unknown."""


class Hung(NoAnswer):
    """The request was sent, the connection stays open, and no answer came."""


class Answer(NamedTuple):
    """What came back, and how long it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float

    @property
    def json(self) -> dict[str, Any]:
        """Return the parsed document."""
        found: dict[str, Any] = orjson.loads(self.body)
        return found


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._began = 0.0
        self.usable = True

    async def ask(self, request: bytes, within_s: float) -> Answer:
        """Send a request and return its answer. Raises NoAnswer, Hung."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._headers, self._body, self._began = {}, bytearray(), monotonic()
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        try:
            async with asyncio.timeout(within_s):
                return await self._answer
        except TimeoutError:
            self.close()
            raise Hung from None

    def close(self) -> None:
        """Abort the connection."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer())

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.usable = self.usable and bool(self._parser.should_keep_alive())
        if self._answer is not None and not self._answer.done():
            took_s = monotonic() - self._began
            self._answer.set_result(
                Answer(self._parser.get_status_code(), self._headers, bytes(self._body), took_s)
            )


class ConnectionPool:
    """Connections to one api process, as many as are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._host = f"host: 127.0.0.1:{port}\r\n"
        self._idle: list[Connection] = []

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, within_s: float = PATIENCE_S
    ) -> Answer:  # fmt: skip
        """Send a request and return its answer. Raises NotSent, NoAnswer, Hung."""
        connection = await self._connection()
        try:
            return await connection.ask(self._request(method, path, body, headers or {}), within_s)
        finally:
            if connection.usable and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        for each in self._idle:
            each.close()

    async def _connection(self) -> Connection:
        while self._idle:
            if (found := self._idle.pop()).usable:
                return found
        try:
            _, made = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        except OSError as error:
            raise NotSent from error
        return made

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if body:
            more += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{self._host}{more}\r\n".encode() + body


class LoadBalancer:
    """All api processes in turn, as behind a load balancer: one that takes no connection is skipped."""

    def __init__(self, pools: Sequence[ConnectionPool]) -> None:
        self.pools = pools
        self._turn = count()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, within_s: float = PATIENCE_S
    ) -> Answer:  # fmt: skip
        """Ask the next process that takes the request. Raises NotSent if none does, NoAnswer, Hung."""
        first = next(self._turn)
        for step in range(len(self.pools)):
            try:
                return await self.pools[(first + step) % len(self.pools)].ask(
                    method, path, body, headers, within_s
                )
            except NotSent:
                continue
        raise NotSent

    def close(self) -> None:
        """Close all pools."""
        for each in self.pools:
            each.close()
