"""Answers to clients that uvicorn does not fit: those of HTTP/1.0, and those that wait to be asked for their body."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.http.asgi import Header
from api.http.response import CLOSE

KEEP_ALIVE: Header = (b"connection", b"keep-alive")
BODILESS = (204, 304)


class CarefulCycle(RequestResponseCycle):
    """One request and its answer."""

    _sized = True

    async def send(self, message: Any) -> None:
        """Send a part of the answer in a form that the client understands."""
        if not self.response_started:
            message = self._head(dict(message))
        elif not self._sized:
            self.expected_content_length = len(message.get("body", b""))  # or uvicorn would count
        await super().send(message)

    def _head(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = (
                False  # clients differ in whether they still send that body: it must not be a request
            )
        headers: list[Header] = message["headers"]
        if self.scope["http_version"] == "1.1" or CLOSE in headers:
            return message
        if self.scope["method"] == "HEAD" or message["status"] in BODILESS or _has_length(headers):
            return message | {"headers": [*headers, KEEP_ALIVE]} if self.keep_alive else message
        self._sized = self.chunked_encoding = self.keep_alive = False  # it knows no parts, but the end
        return message


def be_careful(cycle: RequestResponseCycle, keep_alive: bool) -> None:
    """Answer this request carefully; `keep_alive` says whether its client wants to keep the connection.

    uvicorn makes what answers, and has no other way to choose it.
    """
    cycle.__class__ = CarefulCycle
    if cycle.scope["http_version"] != "1.1":
        cycle.waiting_for_100_continue = False  # the answer 100 is newer than this client (RFC 9110 §10.1.1)
        cycle.keep_alive = keep_alive


def _has_length(headers: list[Header]) -> bool:
    return any(name == b"content-length" for name, _ in headers)
