"""Read a request's body: check its media type, its size, how long it takes to arrive, and whether there is room for it.

Any media type that means JSON is taken, with any parameters, as others do (WHATWG MIME Sniffing §4.6): clients write it in
many ways, and it is the body that is checked strictly. Only the words of another character set are believed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from email.message import Message
from types import coroutine
from typing import Any

from starlette.requests import Request

from api.http.asgi import AsgiMessage, Header, Receive
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

SLOWEST = 64 * 1024
"""Bytes that a client has to send per second, besides the time that any body may take to arrive."""

_JSON = re.compile(r"(?:application|text)/json|[^/\s]+/[^/\s]+\+json")
LINES = re.compile(r"application/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines)")
"""What means that each line is JSON."""
_CHARSETS = {None, "", "utf-8", "utf8", "us-ascii", "ascii"}
_CODINGS = {b"content-encoding": {b"", b"identity"}, b"transfer-encoding": {b"chunked"}}
"""Headers that say how a body is coded, and what they may say."""
_LONGEST_TYPE = 1024
"""Characters of a Content-Type: the library takes time with the square of its length."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large the body of any submit may be, and how many seconds a body may take, besides one for each SLOWEST bytes."""

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
    return await _fill(bytearray(size), BodyParts(request.receive, timeout_s))


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
        elif name == b"content-length":
            size = int(value)
        elif name in _CODINGS:
            _check_coding(name, value)
    if size > limit:
        raise TooLarge(limit)
    if len(types) != 1:
        many = "twice" if types else "not at all"
        raise UnsupportedMediaType(f"Send Content-Type: application/json once; it came {many}.")
    if types[0] != b"application/json" or media is not _JSON:
        _check_type(types[0].decode("latin-1"), media)
    return size


def _check_coding(name: bytes, value: bytes) -> None:
    """Check that the body is read as it comes. Raises UnsupportedMediaType."""
    if value.lower() in _CODINGS[name]:
        return
    detail = f"Send the body without {name.decode().title()}: {value[:100].decode('latin-1')}."
    wanted = [(b"accept-encoding", b"identity")] if name == b"content-encoding" else []
    raise UnsupportedMediaType(detail, *wanted)


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
    rest = BodyParts(receive, timeout_s)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        part, more = await rest.next()
        size += len(part)
        if size > limit:
            raise TooLarge(limit)
        if held is not None:
            held.grow(size)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _fill(body: bytearray, parts: BodyParts) -> bytearray:
    """Read a body of known size into one place: parts of many bodies at once would leave holes of the same size behind."""
    end, more = 0, True
    while more:
        part, more = await parts.next()
        body[end : end + len(part)] = part
        end += len(part)
    return body


class BodyParts:
    """Receives a body part by part. The more has come, the more time there may be; only time in which the client is waited for counts."""

    __slots__ = ("_left_s", "_receive")

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive, self._left_s = receive, timeout_s

    async def next(self) -> tuple[bytes, bool]:
        """Receive a part; return whether more follows. Raises RequestTimeout, ClientGone."""
        receiving = self._receive().__await__()
        try:
            waits_for = next(receiving)
        except StopIteration as done:
            message = done.value  # most bodies are there with their heads, and need no timer
        else:
            message = await self._wait(receiving, waits_for)
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        self._left_s += len(part) / SLOWEST
        return part, message.get("more_body", False)

    async def _wait(self, receiving: Generator[Any, Any, AsgiMessage], waits_for: Any) -> AsgiMessage:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left_s):
                return await _go_on(receiving, waits_for)
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            self._left_s -= clock() - began


@coroutine
def _go_on(begun: Generator[Any, Any, AsgiMessage], waits_for: Any) -> Generator[Any, Any, AsgiMessage]:
    """Go on with what was begun, once that for which it waits has come."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001  as `yield from` does
                waits_for = begun.throw(error)
            else:
                waits_for = next(begun)
    except StopIteration as done:
        message: AsgiMessage = done.value
        return message
