"""Reading a request's body: what kind it must be, how large, and how long it may take to arrive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from api.http.errors import ClientGone, RequestTimeout, UnsupportedMediaType
from api.http.response import Header, Receive
from sluice.core.errors import TooLarge

_JSON = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)


def check_headers(headers: Iterable[Header], limit: int) -> None:
    """Refuse from the headers alone, before any of the body is read. Raises UnsupportedMediaType, TooLarge."""
    types = []
    for name, value in headers:
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding":
            raise UnsupportedMediaType
        elif name == b"content-length" and int(value) > limit:
            raise TooLarge(limit)
    if len(types) != 1 or not _JSON.fullmatch(types[0]):
        raise UnsupportedMediaType


async def read_body(receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, RequestTimeout, ClientGone."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit)
    except TimeoutError:
        raise RequestTimeout from None


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
