"""Read the lines of a body as they arrive, a few at a time: however long the body is, little of it is held."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncIterator

from api.http.asgi import Receive
from api.http.body import BodyParts
from api.http.held_bytes import HeldBody
from sluice.core.errors import Flaw, Invalid, TooLarge

MOST_LINES = 10_000
MOST_BODY = 32 * 1024 * 1024
MOST_AT_ONCE = 1_000

Line = bytes | TooLarge
"""A line without its end, or why it was not kept."""


class LineReader:
    """Reads lines of at most `most_line` bytes; longer ones are dropped while they arrive. Blank lines are passed over."""

    def __init__(self, receive: Receive, most_line: int, timeout_s: float, held: HeldBody) -> None:
        self._parts, self._most_line, self._held = BodyParts(receive, timeout_s), most_line, held
        self._tail = bytearray()
        self._dropping = False
        self._size = self._count = 0

    async def read(self) -> AsyncIterator[list[Line]]:
        """Yield the lines of each part of the body that arrives.

        Raises RequestTimeout, ClientGone, TooLarge, Invalid, TenantOverloaded, Overloaded, once what came before was yielded.
        """
        more = True
        while more:
            part, more = await self._parts.next()
            lines, flaw = self._cut(part, more)
            self._held.grow(len(part) + len(self._tail))
            for begin in range(0, len(lines), MOST_AT_ONCE):
                yield lines[begin : begin + MOST_AT_ONCE]
            self._held.shrink(len(self._tail))
            if flaw:
                raise flaw

    def _cut(self, part: bytes, more: bool) -> tuple[list[Line], Invalid | TooLarge | None]:
        """Cut a part into lines, of which the last one is kept until its end comes."""
        self._size += len(part)
        if self._size > MOST_BODY:
            return [], TooLarge(MOST_BODY)
        *ended, rest = part.split(b"\n")
        lines = [line for each in ended if (line := self._end(each))]
        self._keep(rest)
        if not more and (line := self._end(b"")):
            lines.append(line)
        room = MOST_LINES - self._count
        self._count += len(lines)
        if len(lines) > room:
            detail = f"A batch has at most {MOST_LINES} lines; what follows was not read."
            return lines[:room], Invalid([Flaw("", "too-many-lines", detail)])
        return lines, None

    def _keep(self, piece: bytes) -> None:
        if self._dropping or len(self._tail) + len(piece) > self._most_line:
            self._dropping = True
            self._tail.clear()
        else:
            self._tail += piece

    def _end(self, piece: bytes) -> Line | None:
        """End the line with this piece; None if it is blank."""
        self._keep(piece)
        if self._dropping:
            self._dropping = False
            return TooLarge(self._most_line)
        line = bytes(self._tail).strip()
        self._tail.clear()
        return None if line in (b"", BOM_UTF8) else line
