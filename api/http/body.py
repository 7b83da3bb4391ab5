"""Read a request's body: check its media type, its size, how long it takes to arrive, and whether there is room for it.

Any media type that means JSON is taken, with any parameters, as others do (WHATWG MIME Sniffing §4.6): clients write it in
many ways, and it is the body that is checked strictly. Only the words of another character set are believed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Generator, Iterable
from dataclasses import dataclass
from email.message import Message
from types import coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from api.http.asgi import Header, Receive
from api.http.errors import ClientGone, RequestTimeout, UnsupportedMediaType
from api.http.held_bytes import HeldBody
from sluice.core.errors import TooLarge
from sluice.core.registry import Registry
from sluice.core.strict_json import Raw
from sluice.handler import AnyHandler

ENVELOPE = 16 * 1024
"""Bytes that a body may have besides an input: kind, options, white space."""

MOST_IN_PARTS = 256 * 1024
"""Bytes of a body that is put together from its parts."""

B = TypeVar("B", bytes, bytearray)

_JSON = re.compile(r"(?:application|text)/json|[^/\s]+/[^/\s]+\+json")
LINES = re.compile(r"application/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines)")
"""What means that each line is JSON."""
_CHARSETS = {None, "", "utf-8", "utf8", "us-ascii", "ascii"}
_AS_IT_IS = {b"", b"identity"}
_LONGEST_TYPE = 1024
"""Characters of a Content-Type: the library takes time with the square of its length."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large the body of any submit may be, and how long a body may take to arrive."""

    largest: int
    timeout_s: float


def body_limits(registry: Registry[AnyHandler], timeout_s: float) -> BodyLimits:
    """Compute limits that fit the largest input of any kind."""
    largest = max((registry[kind].max_input for kind in registry), default=0)
    return BodyLimits(largest + ENVELOPE, timeout_s)


async def read_json_body(request: Request, limit: int, timeout_s: float, held: HeldBody) -> Raw:
    """Check the headers of a request, then read its body. Raises what is raised by `check_headers`, `read_body`, `grow`."""
    size = check_headers(request.scope["headers"], limit)
    held.grow(size)
    if size <= MOST_IN_PARTS:
        return await read_body(request.receive, limit, timeout_s, held)
    return await _in_time(_fill(bytearray(size), request.receive), timeout_s)


def announces_lines(headers: Iterable[Header]) -> bool:
    """Say whether a body is announced as lines of JSON, whatever else its headers say."""
    types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    return len(types) == 1 and len(types[0]) <= _LONGEST_TYPE and bool(LINES.fullmatch(_essence(types[0])))


def check_headers(headers: Iterable[Header], limit: int, media: re.Pattern[str] = _JSON) -> int:
    """Check the headers of a body before reading any of it; return the size they announce, or 0.

    Raises UnsupportedMediaType, TooLarge.
    """
    types, size = [], 0
    for name, value in headers:
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding" and value.lower() not in _AS_IT_IS:
            detail = f"Send the body without Content-Encoding: {value[:100].decode('latin-1')}."
            raise UnsupportedMediaType(detail, (b"accept-encoding", b"identity"))
        elif name == b"content-length":
            size = int(value)
    if size > limit:
        raise TooLarge(limit)
    if len(types) != 1:
        many = "twice" if types else "not at all"
        raise UnsupportedMediaType(f"Send Content-Type: application/json once; it came {many}.")
    if types[0] != b"application/json" or media is not _JSON:
        _check_type(types[0].decode("latin-1"), media)
    return size


def _check_type(text: str, media: re.Pattern[str]) -> None:
    """Check that this means JSON in UTF-8. Raises UnsupportedMediaType."""
    if len(text) > _LONGEST_TYPE:
        raise UnsupportedMediaType(f"Send Content-Type: application/json, not {len(text)} characters of it.")
    header = _parse_type(text)
    if not media.fullmatch(header.get_content_type()):
        raise UnsupportedMediaType(
            f"Send JSON with Content-Type: application/json, not {text or 'an empty one'}."
        )
    if header.get_content_charset() not in _CHARSETS:
        raise UnsupportedMediaType(f"Send JSON in UTF-8 (RFC 8259 §8.1), not {text}.")


def _parse_type(text: str) -> Message:
    header = Message()
    header["content-type"] = text
    return header


def _essence(text: str) -> str:
    return _parse_type(text).get_content_type()


async def read_body(receive: Receive, limit: int, timeout_s: float, held: HeldBody | None = None) -> bytes:
    """Read the whole body; its bytes are counted by `held`, unless the caller has done so.

    Raises TooLarge past `limit` bytes, RequestTimeout, ClientGone, and what `grow` raises.
    """
    return await _in_time(_read(receive, limit, held), timeout_s)


async def _in_time(reading: Coroutine[Any, Any, B], timeout_s: float) -> B:
    """Read a body; only one that has to be waited for gets a timer: most are there with their heads."""
    try:
        waits_for = reading.send(None)
    except StopIteration as done:
        body: B = done.value
        return body
    try:
        async with asyncio.timeout(timeout_s):
            return await _go_on(reading, waits_for)
    except TimeoutError:
        raise RequestTimeout from None


@coroutine
def _go_on(reading: Coroutine[Any, Any, B], waits_for: Any) -> Generator[Any, Any, B]:
    """Go on with what was begun, once that for which it waits has come."""
    try:
        yield waits_for
    except BaseException:
        reading.close()
        raise
    return (yield from reading.__await__())


async def _read(receive: Receive, limit: int, held: HeldBody | None) -> bytes:
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
        if held is not None:
            held.grow(size)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _fill(body: bytearray, receive: Receive) -> bytearray:
    """Read a body of known size into one place: parts of many bodies at once would leave holes of the same size behind."""
    end, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part, more = message.get("body", b""), message.get("more_body", False)
        body[end : end + len(part)] = part
        end += len(part)
    return body
