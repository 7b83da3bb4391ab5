"""A small HTTP client that knows whether a request may have reached the server: everything the book says depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

import httptools
import orjson

PATIENCE_S = 15.0
"""A request that is not answered by then hangs."""
MOST_IDLE = 16
"""Connections that a door keeps for later, so that what a process has open does not grow with its worst moment."""


class NotSent(Exception):
    """Nobody took the connection: the request did not reach anyone."""


class NoAnswer(Exception):
    """The request was sent and the connection ended: what became of it is unknown."""


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
        """The document."""
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
        """Raises NoAnswer, Hung."""
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
        """Use it no more."""
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


class Door:
    """Connections to one api process, as many as are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._host = f"host: 127.0.0.1:{port}\r\n"
        self._idle: list[Connection] = []

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, within_s: float = PATIENCE_S
    ) -> Answer:  # fmt: skip
        """Raises NotSent, NoAnswer, Hung."""
        connection = await self._connection()
        try:
            return await connection.ask(self._request(method, path, body, headers or {}), within_s)
        finally:
            if connection.usable and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
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


class Doors:
    """All api processes in turn, as behind a load balancer: one that takes no connection is passed over."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self.doors = doors
        self._turn = count()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, within_s: float = PATIENCE_S
    ) -> Answer:  # fmt: skip
        """Raises NotSent where no process takes it, NoAnswer, Hung."""
        first = next(self._turn)
        for step in range(len(self.doors)):
            try:
                return await self.doors[(first + step) % len(self.doors)].ask(
                    method, path, body, headers, within_s
                )
            except NotSent:
                continue
        raise NotSent

    def close(self) -> None:
        """Close all."""
        for each in self.doors:
            each.close()
