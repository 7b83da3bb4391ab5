"""Follow PostgreSQL's clock, by which jobs start and end; the clock of this machine may be an hour off."""

from __future__ import annotations

from collections.abc import Callable
from time import time


class RecordClock:
    """Call it for the record's time, in seconds since the epoch; until that is known, it returns the time of this machine.

    `ahead_s` is how far the record's clock is ahead of this machine's.
    """

    def __init__(self, here: Callable[[], float] = time) -> None:
        self._here = here
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return self._here() + self.ahead_s

    def learn(self, there: float, asked: float) -> None:
        """Learn that the record's clock showed `there` in answer to a question sent at `asked` by this machine's clock."""
        self.ahead_s = there - (asked + self._here()) / 2

    def here(self) -> float:
        """Return the time of this machine."""
        return self._here()
