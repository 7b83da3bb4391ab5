"""The clock of one attempt, which forgives it that the event loop was held up by another."""

from __future__ import annotations

import asyncio
from time import monotonic

from consumer.attempt import Attempt

LATE_S = 0.25
SPARE_S = 1.0


class TimeLimit:
    """Tells an attempt that its time is up; cancelled like any timer.

    Where a handler blocked the loop past that moment, everybody's time seems to be up at once, also that of work which
    ended meanwhile and could not be heard. So a bell that rings late rings again, once, a moment later.
    """

    __slots__ = ("_attempt", "_due", "_loop", "_timer")

    def __init__(self, attempt: Attempt, loop: asyncio.AbstractEventLoop) -> None:
        self._attempt, self._loop = attempt, loop
        self._due = monotonic() + attempt.time_limit_s
        self._timer = loop.call_later(attempt.time_limit_s, self._ring)

    def cancel(self) -> None:
        """It does not matter any more."""
        self._timer.cancel()

    def _ring(self) -> None:
        if monotonic() > self._due + LATE_S:
            self._timer = self._loop.call_later(SPARE_S, self._attempt.time_out)
        else:
            self._attempt.time_out()
