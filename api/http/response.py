"""A complete answer as one value, the headers that all features use, and sending it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from starlette.responses import Response

from api.http.asgi import Header, Receive, Scope, Send

JSON: Header = (b"content-type", b"application/json")
CLOSE: Header = (b"connection", b"close")
VARY: Header = (b"vary", b"authorization")
NO_STORE: Header = (b"cache-control", b"no-store")

LINGER_S = 1.0
"""How long a connection that is about to be closed still takes what its client is sending."""


class Reply(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: list[Header]
    body: bytes


class ReplyResponse(Response):
    """A Reply that FastAPI can send, without another pass over headers and body."""

    def __init__(self, reply: Reply, more: Iterable[Header] = ()) -> None:
        self.status_code = reply.status
        self.body = reply.body
        self.raw_headers = [*reply.headers, *more]
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; if it closes the connection, give the client time to read it."""
        reply = Reply(self.status_code, self.raw_headers, bytes(self.body))
        if CLOSE in self.raw_headers:
            await send_last(reply, receive, send)
        else:
            await send_reply(reply, send)


def json_reply(status: int, body: bytes, cache: Header = NO_STORE) -> Reply:
    """Make an answer with this JSON as its body."""
    return Reply(status, [JSON, content_length(body), cache, VARY], body)


def no_content() -> Reply:
    """Make a 204, for what is done and has nothing to return."""
    return Reply(204, [NO_STORE], b"")


def content_length(body: bytes) -> Header:
    """Make the header that says how long the body is."""
    return b"content-length", b"%d" % len(body)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_last(reply: Reply, receive: Receive, send: Send) -> None:
    """Send the last answer of a connection, and for a moment keep reading what the client still sends.

    Closing with unread bytes resets the connection, and the client might never see why it was refused.
    """
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
