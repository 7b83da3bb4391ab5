"""The time limit of one attempt, which ignores time in which another job blocked the event loop."""

from __future__ import annotations

import asyncio
from time import monotonic

from consumer.attempt import Attempt

LATE_S = 0.25
"""Seconds by which a timer may be late before the event loop counts as held up."""

SPARE_S = 1.0
"""Seconds that an attempt then has, for an ending that is on its way to be heard."""


class TimeLimit:
    """Tells an attempt that its time is up; cancelled like any timer.

    If a handler blocked the loop past that moment, the time of all attempts seems to be up at once, even of work that has
    ended but could not report it. So a timer that fires late is set once more, for a moment later.
    """

    __slots__ = ("_attempt", "_due", "_loop", "_timer")

    def __init__(self, attempt: Attempt, loop: asyncio.AbstractEventLoop) -> None:
        self._attempt, self._loop = attempt, loop
        self._due = monotonic() + attempt.time_limit_s
        self._timer = loop.call_later(attempt.time_limit_s, self._expire)

    def cancel(self) -> None:
        """Stop counting."""
        self._timer.cancel()

    def _expire(self) -> None:
        if monotonic() > self._due + LATE_S:
            self._timer = self._loop.call_later(SPARE_S, self._attempt.time_out)
        else:
            self._attempt.time_out()
