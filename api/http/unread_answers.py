"""Count the bytes of answers that clients have not read yet, and bound them: the slowest readers are cut off.

The send timeout bounds the time of a client that reads nothing, and a connection has one answer under way at most; neither
bounds the memory of a process whose clients are many.
"""

from __future__ import annotations

import time
from asyncio import Transport
from collections.abc import Callable

COUNTED_FROM = 16 * 1024
"""Bytes of one connection that wait in this process, besides what the kernel holds, until they are counted."""

YOUNG_S = 1.0
"""Seconds for which nobody can tell how fast a client reads."""


class _Unread:
    """What one connection has to send. `bytes` was seen last; `began_with` when the client was first too slow."""

    __slots__ = ("began", "began_with", "bytes", "transport")

    def __init__(self, transport: Transport, size: int, now: float) -> None:
        self.transport, self.bytes = transport, size
        self.began, self.began_with = now, size


class UnreadAnswers:
    """At most `most` bytes at once; `on_cut` is told of each client that is cut off."""

    __slots__ = ("_by_connection", "_most", "_now", "_on_cut", "_total")

    def __init__(
        self, most: int, on_cut: Callable[[], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._on_cut, self._now = most, on_cut, now
        self._by_connection: dict[object, _Unread] = {}
        self._total = 0

    def __repr__(self) -> str:
        return f"<UnreadAnswers: {self._total} bytes of {len(self._by_connection)} connections>"

    def __len__(self) -> int:
        return self._total

    def add(self, connection: object, transport: Transport) -> None:
        """Count what waits to be sent on this connection, and cut off the slowest readers if that is too much."""
        size = transport.get_write_buffer_size()
        self._by_connection[connection] = _Unread(transport, size, self._now())
        self._total += size
        if self._total > self._most:
            self._look_again()
            self._cut_off_slowest()

    def remove(self, connection: object) -> None:
        """Count it no more: the client has read on, or has gone."""
        if unread := self._by_connection.pop(connection, None):
            self._total -= unread.bytes

    def _look_again(self) -> None:
        for unread in self._by_connection.values():
            unread.bytes = unread.transport.get_write_buffer_size()
        self._total = sum(unread.bytes for unread in self._by_connection.values())

    def _cut_off_slowest(self) -> None:
        """Cut off so many that an eighth is free: to look at all of them, for each that is added, takes too long."""
        now = self._now()
        slowest_first = sorted(self._by_connection.items(), key=lambda each: _rank(each[1], now))
        for connection, unread in slowest_first:
            if self._total <= self._most - self._most // 8:
                return
            self.remove(connection)
            unread.transport.abort()
            self._on_cut()


def _rank(unread: _Unread, now: float) -> tuple[bool, float, float]:
    """Order connections by bytes read per second, and those that have only begun last."""
    seconds = now - unread.began
    read = unread.began_with - unread.bytes
    return seconds < YOUNG_S, read / max(seconds, YOUNG_S), unread.began
