"""What the handler of a job has logged, as its client reads it: numbered lines of JSON, the newest of each attempt."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import NamedTuple

MOST_LINES = 1_000
MOST_BYTES = 64 * 1024
"""What is kept of an attempt: the newest lines, which say how it ended."""
MOST_CLAIMS = 16
"""The newest claims of a job whose lines are kept, so that a job has at most a MiB of them."""


class LogBlock(NamedTuple):
    """Lines of one attempt in order, one JSON object each. The first of an attempt has the number 1, and this block's the number `first`."""

    fence: int
    first: int
    lines: bytes

    def numbered(self) -> list[tuple[int, bytes]]:
        """List the lines with their numbers."""
        return list(enumerate(self.lines.split(b"\n"), self.first))


class JobLog:
    """The newest lines of one attempt, as they come."""

    __slots__ = ("_lines", "_size", "last")

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._size = self.last = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> None:
        """Add a line, and drop the oldest if that is too much. One that is too long for all of it is not kept, but counted."""
        self.last += 1
        self._lines.append(line)
        self._size += len(line) + 1
        while len(self._lines) > MOST_LINES or self._size > MOST_BYTES:
            self._size -= len(self._lines.popleft()) + 1

    def block(self, fence: int, after: int = 0) -> LogBlock | None:
        """Return the lines behind the one of this number; None if there are none."""
        kept = len(self._lines)
        skipped = max(0, after - (self.last - kept))
        if skipped >= kept:
            return None
        lines = b"\n".join(islice(self._lines, skipped, None))
        return LogBlock(fence, self.last - kept + skipped + 1, lines)
