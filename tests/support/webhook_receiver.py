"""A server on this machine that takes webhooks, keeps them, and answers as a test wants it to."""

from __future__ import annotations

import asyncio
import base64
import hmac
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import httptools

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status} Test", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Received(NamedTuple):
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


def signed_by(secret: str, received: Received) -> bool:
    """Check a signature as Standard Webhooks says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = received.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    wanted = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return wanted in headers["webhook-signature"].split(" ")


class WebhookReceiver:
    """Answers requests with `answers` in order, and then always with the last; an empty one is silence; after one it closes, unless it `stays`. `received` has the requests, `open_now` counts connections. Challenges are sent back while it `proves`."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers) or [OK]
        self.received: list[Received] = []
        self.open_now = self.most_open = self.connections = 0
        self.port = 0
        self.delay_s = 0.0
        self.proves = self.stays = False
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def until(self, count: int) -> Sequence[Received]:
        """Return what came, once so many have."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            with suppress(ConnectionError, httptools.HttpParserError):
                await self._serve(reader, writer)
        finally:
            self.open_now -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = _Parsing()
        while not request.complete:
            if not (read := await reader.read(65_536)):
                return
            request.feed(read)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        async with self._came:
            self.received.append(request.received)
            self._came.notify_all()
        await asyncio.sleep(self.delay_s)
        if not said:
            await reader.read()
        if self.proves and (challenge := request.received.headers.get("webhook-challenge")):
            said = answer(200, f"webhook-challenge-response: {challenge}")
        writer.write(said)
        await writer.drain()
        if self.stays:
            await reader.read()


class _Parsing:
    def __init__(self) -> None:
        self.complete = False
        self._url, self._headers, self._body = b"", dict[str, str](), b""
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, read: bytes) -> None:
        self._parser.feed_data(read)

    @property
    def received(self) -> Received:
        return Received(self._url.decode(), self._headers, self._body)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.complete = True


@asynccontextmanager
async def webhook_receiver(
    *answers: bytes, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebhookReceiver]:
    """Listen for the block."""
    receiver = WebhookReceiver(*answers)
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
