"""Read a request's body: check its media type, its size, and how long it takes to arrive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request

from api.http.asgi import Header, Receive
from api.http.errors import ClientGone, RequestTimeout, UnsupportedMediaType
from sluice.core.errors import TooLarge
from sluice.core.registry import Registry
from sluice.handler import AnyHandler

ENVELOPE = 16 * 1024
"""Bytes that a body may have besides an input: kind, options, white space."""

_JSON = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large the body of any submit may be, and how long a body may take to arrive."""

    largest: int
    timeout_s: float


def body_limits(registry: Registry[AnyHandler], timeout_s: float) -> BodyLimits:
    """Compute limits that fit the largest input of any kind."""
    largest = max((registry[kind].max_input for kind in registry), default=0)
    return BodyLimits(largest + ENVELOPE, timeout_s)


async def read_json_body(request: Request, limit: int, timeout_s: float) -> bytes:
    """Check the headers of a request, then read its body. Raises what `check_headers` and `read_body` raise."""
    check_headers(request.scope["headers"], limit)
    return await read_body(request.receive, limit, timeout_s)


def check_headers(headers: Iterable[Header], limit: int) -> None:
    """Check the headers of a body before reading any of it. Raises UnsupportedMediaType, TooLarge."""
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
    """Read the whole body. Raises TooLarge past `limit` bytes, RequestTimeout, ClientGone."""
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
