"""Answers whose heads are put together from lines that were written before.

uvicorn checks every letter of every header of each answer, most of which are the same in all answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from functools import lru_cache
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

from api.http.asgi import Header
from api.http.careful_cycle import BODILESS

LENGTH = b"content-length"
LONG = 4 * 1024
"""Bytes of a head from which on its lines are not kept: a client that can have some of them say what it likes would fill the memory."""
READ_BY_UVICORN = (b"connection", b"transfer-encoding")


class Sent:
    """What `send` returns when nothing is left to wait for; a coroutine for each part of each answer costs more."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


_SENT = cast(Awaitable[None], Sent())


class QuickCycle(RequestResponseCycle):
    """One request and its answer."""

    def send(self, message: Any) -> Awaitable[None]:  # type: ignore[override]  # awaited, all the same
        """Send a part of the answer; uvicorn writes the heads that have something unusual, and bodies in parts."""
        if self.flow.write_paused or self.disconnected:
            return super().send(message)
        quick = self._send_whole_body(message) if self.response_started else self._send_head(message)
        return _SENT if quick else super().send(message)

    def _send_head(self, message: Any) -> bool:
        if self.access_log or not self.keep_alive:
            return False
        status, headers = message["status"], message["headers"]
        lines = [STATUS_LINE[status], *map(_line, self.default_headers), *map(_line, headers), b"\r\n"]
        head = b"".join(lines)
        if len(head) > LONG:
            _line.cache_clear()
        lengths = [value for name, value in headers if name == LENGTH]
        if b"" in lines or (len(lengths) != 1 and (lengths or status not in BODILESS)):
            return False
        for length in lengths:
            self.expected_content_length, self.chunked_encoding = int(length), False
        self.response_started, self.waiting_for_100_continue = True, False
        self.transport.write(head)
        return True

    def _send_whole_body(self, message: Any) -> bool:
        body = message.get("body", b"")
        if (
            message["type"] != "http.response.body"
            or self.response_complete
            or self.chunked_encoding
            or message.get("more_body")
            or len(body) != self.expected_content_length
            or self.scope["method"] == "HEAD"
            or not self.keep_alive
        ):
            return False
        if body:
            self.transport.write(body)
        self.expected_content_length, self.response_complete = 0, True
        self.message_event.set()
        self.on_response()
        return True


@lru_cache(maxsize=512)
def _line(header: Header) -> bytes:
    """Write a line; empty if the header is not for everyone to write."""
    name, value = header
    unusual = name in READ_BY_UVICORN or not name.islower() or (name == LENGTH and not value.isdigit())
    if unusual or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        return b""
    return b"%b: %b\r\n" % (name, value)
