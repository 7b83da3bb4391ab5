"""The event-loop watchdog: notices a blocked loop, names what blocks it, and ends a process whose loop stays blocked."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from time import monotonic
from types import CodeType, FrameType
from typing import NamedTuple

from sluice.core.runtime.telemetry import Event, Telemetry

LOG = logging.getLogger("sluice.lease")
BLOCKED_S = 1.0
"""Seconds of silence from which on a loop is called blocked."""


class Blocker(NamedTuple):
    """What runs in a loop that does not answer: the kind of its handler (empty: no handler), and the line."""

    kind: str
    where: str


class LoopWatchdog:
    """Counts in ticks how long the event loop has not answered, so that a frozen process is not taken for a blocked one.

    `find` looks at what runs in the loop's thread; `on_blocked` is called, in the thread that ticks, for every blockage
    once it is over, with its length in seconds.
    """

    def __init__(
        self,
        limit_s: float,
        tick_s: float,
        exit_hard: Callable[[], None],
        find: Callable[[], Blocker],
        on_blocked: Callable[[Blocker, float], None],
    ) -> None:
        self._limit_s = limit_s
        self._tick_s = tick_s
        self._exit_hard = exit_hard
        self._find, self._on_blocked = find, on_blocked
        self._heard = self._seen_at = self._since = monotonic()
        self._ticks = 0
        self._lasted_s = 0.0
        self.blocker: Blocker | None = None

    @property
    def too_long(self) -> bool:
        """True once it has lasted longer than an idle loop is allowed."""
        return self._lasted_s > self._limit_s

    def hear(self) -> None:
        """Note that the loop has answered. Runs in the event loop."""
        self._heard = monotonic()

    def tick(self, now: float) -> None:
        """Count one tick; name the blocker once it is clear that there is one."""
        if self._heard >= self._seen_at:
            self._end_blockage()
        else:
            self._ticks += 1
            self._lasted_s += min(now - self._seen_at, 2 * self._tick_s)
            if self._ticks > 1 and self._lasted_s >= BLOCKED_S:
                self._name_blocker()
        self._seen_at = now

    def judge(self, now: float, allowed_until: float) -> None:
        """End the process if the loop has been silent for longer than its work (until `allowed_until`) could explain."""
        if self.too_long and now > allowed_until + self._limit_s:
            LOG.critical("the event loop is silent; this process ends itself")
            self._exit_hard()

    def _name_blocker(self) -> None:
        first, self.blocker = self.blocker is None, self._find()
        if first:
            kind, where = self.blocker
            LOG.warning("the event loop is blocked by %s: %s", kind or "no handler", where)

    def _end_blockage(self) -> None:
        if self.blocker is not None:
            self._on_blocked(self.blocker, self._heard - self._since)
            self.blocker = None
        self._since = self._heard
        self._ticks, self._lasted_s = 0, 0.0


def find_blocker(thread: int, kinds: Mapping[CodeType, str]) -> Blocker:
    """Find who runs in this thread now: the handler whose code is on its stack, and the innermost line."""
    top = frame = sys._current_frames().get(thread)
    where = _line(top) if top else "the thread is gone"
    while frame is not None and frame.f_code not in kinds:
        frame = frame.f_back
    return Blocker(kinds[frame.f_code] if frame else "", where)


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


class BlockedTimes:
    """How long handlers have blocked the event loop of this process, in seconds by kind."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, blocker: Blocker, seconds: float) -> None:
        """Add a blockage that is over, and report it."""
        self.seconds[blocker.kind] += seconds
        self._telemetry.emit(Event.BLOCKED, kind=blocker.kind, where=blocker.where, seconds=round(seconds, 1))


def end_process() -> None:
    """End the process at once, leaving on stderr what every thread was doing."""
    faulthandler.dump_traceback(file=sys.__stderr__ or 2)
    os._exit(70)
