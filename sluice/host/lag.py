"""How long the event loop of a host was held up: no job's time limit counts that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic

BEAT_S = 0.05
SLACK_S = 0.01
"""Seconds by which a beat may be late before the loop counts as held up."""


class Lag:
    """Adds up by how much an event loop is late, for as long as `wanted` says that anybody asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wanted: Callable[[], object]) -> None:
        self._loop, self._wanted = loop, wanted
        self._sum_s, self._due = 0.0, inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held_up_s(self) -> float:
        """Seconds for which the loop was held up so far, or is just now. Safe in every thread."""
        return self._sum_s + self.late_s

    @property
    def late_s(self) -> float:
        """Seconds since the loop should have run. Safe in every thread."""
        return max(0.0, monotonic() - self._due - SLACK_S)

    def measure(self) -> None:
        """Measure from now on, if that is not done yet: a beat may have been lost to an error from outside."""
        if self._timer is None or self.late_s > BEAT_S:
            self._beat()

    def _beat(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._sum_s, self._due = self.held_up_s, inf
        self._timer = self._loop.call_later(BEAT_S, self._beat) if self._wanted() else None
        if self._timer is not None:
            self._due = monotonic() + BEAT_S
