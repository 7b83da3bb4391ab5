"""An answer of lines, each sent as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.responses import Response

from api.http.asgi import Header, Receive, Scope, Send
from api.http.response import NO_STORE, VARY

SendLine = Callable[[bytes], Awaitable[None]]


class LinesResponse(Response):
    """Sends what `write` makes, which gets a function to send a line."""

    media_type = "application/x-ndjson"

    def __init__(
        self, write: Callable[[SendLine, Receive], Awaitable[None]], headers: Iterable[Header]
    ) -> None:
        self._write = write
        self.status_code, self.background = 200, None
        self.raw_headers = [(b"content-type", self.media_type.encode()), NO_STORE, VARY, *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head at once, and each line once the client has room for it."""

        async def send_line(line: bytes) -> None:
            # Between two tokens: inside of strings JSON has no newlines.
            body = line.replace(b"\n", b" ") + b"\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._write(send_line, receive)
        await send({"type": "http.response.body", "body": b""})
