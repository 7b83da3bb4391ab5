"""When a walk along an index, a little at every tick, begins anew."""

from __future__ import annotations

from collections.abc import Callable

ROWS_PER_TICK = 1_000

AGAIN_S, AGAIN_PART = 300.0, 0.1
"""A sweep begins anew after this, or after this part of the time for which things are kept: what was passed by because
it had not finished, or had finished later than it was made, goes by so much later than it could."""


class Sweep:
    """A walk along an index begins anew once it has come to the end, and some time after it has begun.

    Until then every tick goes on where the last one ended, so that what has to stay is not looked at again and again.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float]) -> None:
        self._again_s, self._clock = min(AGAIN_S, keep_s * AGAIN_PART), clock
        self._began = clock()
        self._at_end = False

    def is_over(self) -> bool:
        """Return whether the next tick has to begin at the beginning; to be asked once before each."""
        if not self._at_end or self._clock() < self._began + self._again_s:
            return False
        self._began, self._at_end = self._clock(), False
        return True

    def advance(self, looked_at: int) -> None:
        """Take in how many rows there were to look at."""
        self._at_end = looked_at < ROWS_PER_TICK
