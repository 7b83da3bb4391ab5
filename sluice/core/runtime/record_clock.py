"""Follow PostgreSQL's clock, by which jobs start and end; the clock of this machine may be an hour off."""

from __future__ import annotations

from collections.abc import Callable
from time import time


class RecordClock:
    """Call it for the time at the record, in seconds since the epoch; until that is known, it is the time of this machine."""

    def __init__(self, here: Callable[[], float] = time) -> None:
        self._here = here
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._here() + self._ahead_s

    def learn(self, there: float, asked: float) -> None:
        """Take over that the record's clock showed `there` when it answered a question sent at `asked`, by this machine's clock."""
        self._ahead_s = there - (asked + self._here()) / 2

    def here(self) -> float:
        """Return the time of this machine."""
        return self._here()
