"""Cut the flood of a job that logs without end, and say how much was cut."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from sluice.host.current_job import JobRef
from sluice.host.log_line import LogLine, fields_of_job

BURST_LINES = 1_000
BURST_BYTES = 1 << 20
"""What a job may log at once: more than any traceback or table, and 20 ms of the consumer's processor."""
LINES_A_SECOND = 100
BYTES_A_SECOND = BURST_BYTES // 10
"""What it may log for ever: 0.2 % of a processor, and 9 GB a day at the very most."""
SAY_EVERY_S = 10
"""Seconds between two lines about a flood that goes on."""
LINES_CUT = "lines cut"
"""The message of that line."""
MOST_BUDGETS = 10_000
"""Jobs that are kept in mind: threads that outlive their job may still log, and nothing tells when they end."""


class Budget:
    """What one job may still log, and what was cut. Without a lock: a race counts a line wrong, no more."""

    __slots__ = ("bytes_left", "cut_bytes", "cut_lines", "lines_left", "refilled", "said")

    def __init__(self, now: float) -> None:
        self.lines_left: float = BURST_LINES
        self.bytes_left: float = BURST_BYTES
        self.refilled = now
        self.said = now
        self.cut_lines = 0
        self.cut_bytes = 0

    def take(self, size: int, now: float) -> bool:
        """Pay for one line, or count it as cut."""
        if self.lines_left < 1 or self.bytes_left < size:
            self._refill(now)
            if self.lines_left < 1 or self.bytes_left < size:
                self.cut(1, size)
                return False
        self.lines_left -= 1
        self.bytes_left -= size
        return True

    def cut(self, lines: int, size: int) -> None:
        """Count lines that were cut."""
        self.cut_lines += lines
        self.cut_bytes += size

    def is_due(self, now: float) -> bool:
        """Say whether lines were cut and it is time to say so."""
        return self.cut_lines > 0 and now - self.said >= SAY_EVERY_S

    def say(self, job: JobRef | None, now: float) -> LogLine:
        """Make the line that says what was cut, and begin to count anew."""
        fields = fields_of_job(job) | {"lines": self.cut_lines, "bytes": self.cut_bytes}
        self.cut_lines = self.cut_bytes = 0
        self.said = now
        return LogLine(logging.WARNING, "sluice.host", LINES_CUT, fields)

    def _refill(self, now: float) -> None:
        passed, self.refilled = now - self.refilled, now
        self.lines_left = min(BURST_LINES, self.lines_left + passed * LINES_A_SECOND)
        self.bytes_left = min(BURST_BYTES, self.bytes_left + passed * BYTES_A_SECOND)


class FloodGate:
    """Sends lines for as long as their job has a budget. Safe in every thread, and within itself."""

    def __init__(self, send: Callable[[LogLine], None], clock: Callable[[], float] = monotonic) -> None:
        self.send = send
        self._clock = clock
        self._budgets: dict[JobRef | None, Budget] = {}

    def __call__(self, line: LogLine, job: JobRef | None) -> bool:
        """Send a line, or count it as cut and return False."""
        now = self._clock()
        budget = self._budgets.get(job) or self._open(job, now)
        if not budget.take(_size(line), now):
            return False
        if budget.is_due(now):
            self.send(budget.say(job, now))
        self.send(line)
        return True

    def skip(self, lines: int, size: int, job: JobRef | None) -> None:
        """Count lines as cut that were not even made."""
        budget = self._budgets.get(job) or self._open(job, self._clock())
        budget.cut(lines, size)

    def finish_job(self, job: JobRef | None) -> None:
        """Say what was cut of a job, and forget it."""
        budget = self._budgets.pop(job, None)
        if budget is not None and budget.cut_lines:
            self.send(budget.say(job, self._clock()))

    def _open(self, job: JobRef | None, now: float) -> Budget:
        if len(self._budgets) >= MOST_BUDGETS:
            with suppress(RuntimeError, StopIteration):  # another thread is at it
                self.finish_job(next(iter(self._budgets)))
        return self._budgets.setdefault(job, Budget(now))


def _size(line: LogLine) -> int:
    texts = [value for value in line.fields.values() if isinstance(value, str)]
    return sum(
        len(text) if text.isascii() else len(text.encode()) for text in (line.message, line.trace, *texts)
    )
