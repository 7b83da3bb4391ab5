"""The clock of the record, by which jobs begin and end: the clock of this machine may be off by an hour."""

from __future__ import annotations

from collections.abc import Callable
from time import time


class RecordClock:
    """Called, it says what time it is there, in seconds since the epoch; the time here until that is known."""

    def __init__(self, here: Callable[[], float] = time) -> None:
        self._here = here
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._here() + self._ahead_s

    def learn(self, there: float, asked: float) -> None:
        """It was `there` when the record answered what was asked at this time here."""
        self._ahead_s = there - (asked + self._here()) / 2

    def here(self) -> float:
        """The time of this machine."""
        return self._here()
