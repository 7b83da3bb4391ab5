"""A stream of events as an answer: in one task, written straight to the connection."""

from __future__ import annotations

from random import uniform
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response

from api.events.catching_up import CatchingUp
from api.events.event import BEAT
from api.events.feed import Feed
from api.events.job_logs import JobLogs
from api.events.stream import JobStream, TenantStream
from api.http.asgi import Header, Receive, Scope, Send
from api.http.auth import authenticate
from api.http.dependencies import parts_of
from api.http.edge import HEAD, WAITED_S
from api.http.response import VARY
from api.jobs.lookup import Lookup
from api.keys.keyring import Keyring
from sluice.core.errors import TRANSIENT
from sluice.errors import SluiceError

HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
    VARY,
]
AGAIN_S = 2.0
"""Seconds until the next try while the record is away."""
COME_AGAIN_S = 2.0
"""Seconds, more or less, after which a client comes again that has lost its connection."""


class EventResponse(Response):
    """Sends events until there is nothing more to say, the client has gone, its key is no longer good, or the process stops.

    Over the limit of streams it ends as soon as it has said how things stand: its client comes again as one that polls.
    """

    def __init__(self, request: Request, stream: JobStream | TenantStream) -> None:
        parts = parts_of(request)
        self._request, self._stream, self._keyring = request, stream, parts[Keyring]
        self._feed = parts[Feed]
        self._catching_up = CatchingUp(parts[Lookup], parts[JobLogs], self._feed)
        self._checked = self._sent = 0.0
        self.status_code, self.raw_headers, self.background = 200, list(HEADERS), None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        self._checked = self._sent = began = monotonic()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            if not scope.get(HEAD):
                await self._stay(receive, send)
        finally:
            scope[WAITED_S] = monotonic() - began
        await send({"type": "http.response.body", "body": b""})

    async def _stay(self, receive: Receive, send: Send) -> None:
        stream, once = self._stream, self._feed.is_full
        await self._send(send, b"retry: %d\n\n" % (1_000 * COME_AGAIN_S * uniform(0.5, 1.5)))  # noqa: S311  jitter
        with self._feed.watch(stream):
            while not (stream.gone or stream.over):
                if stream.behind and not await self._catch_up(send):
                    await stream.rest(receive, AGAIN_S)
                if data := stream.take():
                    await self._send(send, data)
                if once or not await self._is_allowed():
                    return
                if monotonic() - self._sent >= self._feed.beat_s:
                    await self._send(send, BEAT)
                await stream.pause(receive, self._feed.beat_s - monotonic() + min(self._sent, self._checked))

    async def _catch_up(self, send: Send) -> bool:
        """Say how things stand; false if that is not known, as the record is away."""
        try:
            async for data in self._catching_up.tell(self._stream):
                if data:
                    await self._send(send, data)
        except TRANSIENT:
            self._stream.behind = True
            return False
        return True

    async def _is_allowed(self) -> bool:
        """Check the key now and then, so that the stream ends soon after it was revoked."""
        if monotonic() - self._checked < self._feed.beat_s:
            return True
        try:
            await authenticate(self._request, self._keyring, self._feed.beat_s)
        except SluiceError:
            return False
        self._checked = monotonic()
        return True

    async def _send(self, send: Send, data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})
        self._sent = monotonic()
