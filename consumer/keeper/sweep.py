"""Decide when a walk along an index, a little at every tick, starts over."""

from __future__ import annotations

from collections.abc import Callable

ROWS_PER_TICK = 1_000
"""Rows that one tick looks at."""

AGAIN_S, AGAIN_PART = 300.0, 0.1
"""A walk begins anew after this many seconds, or after this part of the time for which things are kept. What was passed by
(it had not finished, or finished long after it was made) is deleted by so much later than it could be."""


class Sweep:
    """Says when to start over: once the walk has come to the end, and some time after it began.

    Until then every tick continues where the last one ended, so that rows which must stay are not looked at again and
    again.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float]) -> None:
        self._again_s, self._clock = min(AGAIN_S, keep_s * AGAIN_PART), clock
        self._began = clock()
        self._at_end = False

    def is_over(self) -> bool:
        """Return whether the next tick has to start at the beginning; call it once before each."""
        if not self._at_end or self._clock() < self._began + self._again_s:
            return False
        self._began, self._at_end = self._clock(), False
        return True

    def advance(self, looked_at: int) -> None:
        """Note how many rows there were to look at."""
        self._at_end = looked_at < ROWS_PER_TICK
