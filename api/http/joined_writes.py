"""A transport that sends what is written together.

uvicorn writes head and body separately, and uvloop sends each at once: on small answers the second send, and the client's
second wake-up, cost more than all of our own work (docs/performance.md).
"""

from __future__ import annotations

import asyncio
from typing import Any

MOST_JOINED = 64 * 1024
"""Bytes that wait at most: beyond them the real transport must see the data, so that it can slow the writer down."""


class JoinedWrites:
    """A transport that sends everything written in one turn of the loop at once; the rest is left to the real one."""

    __slots__ = ("_call_soon", "_parts", "_size", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self.is_closing = (
            transport.is_closing
        )  # asked twice for each request, and a lookup below costs more than it
        self._call_soon = loop.call_soon
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send these bytes at the end of this turn, or at once if they are many."""
        if not self._parts:
            self._call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST_JOINED:
            self.flush()

    def flush(self) -> None:
        """Send what was written."""
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """Send what was written, then close."""
        self.flush()
        self._transport.close()
