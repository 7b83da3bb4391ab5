"""One connection through a proxy: two ends, and for each way the bytes that have not arrived yet."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Set
from contextlib import suppress
from typing import Literal

Way = Literal["forth", "back"]
FORTH: Way = "forth"
BACK: Way = "back"

_END = None
"""In a queue: the sender has gone."""


class End(asyncio.Protocol):
    """What a line knows of the program at one of its ends."""

    def __init__(self, line: Line, way: Way) -> None:
        self._line, self._way = line, way
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._line.made(self)

    def data_received(self, data: bytes) -> None:
        self._line.ways[self._way].put(data)

    def eof_received(self) -> bool:
        self._line.ways[self._way].put(b"")
        return True

    def connection_lost(self, _: Exception | None) -> None:
        self._line.ways[self._way].put(_END)

    def pause_writing(self) -> None:
        self._line.source_of(self).pause()

    def resume_writing(self) -> None:
        self._line.source_of(self).resume()

    def pause(self) -> None:
        """Read nothing for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class Passage:
    """What one end says to the other, in order, each piece not before its time."""

    def __init__(self, line: Line, delay: Callable[[], float]) -> None:
        self._line, self._delay = line, delay
        self._loop = line.loop
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.target: End | None = None
        self.silent = False

    def put(self, data: bytes | None) -> None:
        """Carry this, or say that there is no more."""
        last = self._queue[-1][0] if self._queue else 0.0
        self._queue.append((max(last, self._loop.time() + self._delay()), data))
        self.pump()

    def pump(self) -> None:
        """Hand over everything whose time has come; come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        target = self.target
        if self.silent or target is None or target.transport is None:
            return
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            self._hand_over(target.transport, self._queue.popleft()[1])
        if self._queue:
            self._timer = self._loop.call_at(self._queue[0][0], self.pump)

    def _hand_over(self, transport: asyncio.Transport, data: bytes | None) -> None:
        if data is _END:
            self._line.reset()
        elif transport.is_closing():
            return
        elif data == b"":
            with suppress(OSError):  # it has left without a word
                transport.write_eof()
            self._line.half_closed()
        elif data is not None and self._line.may_pass(len(data)):
            transport.write(data)


class Line:
    """A client (near) and a server (far) that believe to speak to each other."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, delay: Callable[[], float], on_end: Callable[[Line], None]
    ) -> None:
        self.loop = loop
        self.near, self.far = End(self, FORTH), End(self, BACK)
        self.ways: dict[Way, Passage] = {FORTH: Passage(self, delay), BACK: Passage(self, delay)}
        self.bytes_left: int | None = None
        self._on_end = on_end
        self._ended = False
        self._half_closed = 0

    def made(self, end: End) -> None:
        """An end is connected: what waits for it may go."""
        if self._ended:
            _abort(end)
        elif end is self.far:
            self.ways[FORTH].target, self.ways[BACK].target = self.far, self.near
            self.ways[FORTH].pump()

    def source_of(self, end: End) -> End:
        """Who speaks to this end."""
        return self.far if end is self.near else self.near

    def silence(self, ways: Set[Way]) -> None:
        """Let nothing arrive in these ways; let arrive in the others what was held back."""
        for way, passage in self.ways.items():
            speaker = self.near if way == FORTH else self.far
            was, passage.silent = passage.silent, way in ways
            if passage.silent and not was:
                speaker.pause()
            elif was and not passage.silent:
                speaker.resume()
                passage.pump()

    def may_pass(self, size: int) -> bool:
        """Count bytes; at the end of what is allowed the connection is reset."""
        if self.bytes_left is None:
            return True
        self.bytes_left -= size
        if self.bytes_left < 0:
            self.reset()
        return self.bytes_left >= 0

    def half_closed(self) -> None:
        """One side has said its last word; with the second the line is at its end."""
        self._half_closed += 1
        if self._half_closed == len(self.ways):
            self._ended = True
            self._on_end(self)
            for end in (self.near, self.far):
                if end.transport is not None:
                    end.transport.close()

    def reset(self) -> None:
        """End it at once, with RST to both."""
        self._ended = True
        self._on_end(self)
        for end in (self.near, self.far):
            _abort(end)


def _abort(end: End) -> None:
    if end.transport is None:
        return
    sock: socket.socket | None = end.transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
