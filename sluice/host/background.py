"""Give way to interactive processes: heavy work runs at the lowest weight that this system lets a process choose for itself.

Linux shares the processor between sessions before it looks at nice values (sched(7), "The autogroup feature"), so a host, which
leads a session of its own, lowers the weight of that. Between control groups their weights come first: see weight_note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from sluice.host.processes import descendants_of, has_children

Clock = Callable[[Collection[int]], float]

NICEST = 19

SHARED_NICE = 10
"""Of a shared host whose work is heavy: a tenth of what others get, as its other jobs need their turn."""

WINDOW_S = 1.0

HEAVY_S = 60.0
"""Longest time for which work is held to be heavy without being seen at full weight again."""

LONG_S = 0.05
"""Seconds of a processor for each job that ends, from which on jobs are called long."""


class Bounds(NamedTuple):
    """Processors that a host uses when its work is found to be heavy, and that it would use when it no longer is."""

    heavy: float
    light: float


LONG, SHORT = Bounds(0.3, 0.2), Bounds(0.8, 0.6)
"""For long jobs, which take as much as they are given, and for short ones, which have to be quick."""


def be_nice() -> None:
    """Lower the weight of this process inside its session, for good."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class SessionWeight:
    """Keeps the weight of a host's session low: in a process slot for good, in a host that jobs share while its work is heavy.

    A host of many short jobs needs its share to be quick; one that burns a processor would take it from the api. What
    handlers start counts as theirs, and a session that it begins is kept as low. `load` judges the work; None in a slot.
    """

    def __init__(self, load: Load | None) -> None:
        self._load = load
        self._lowered: set[int] = set()

    def keep(self) -> None:
        """Set the weights as they should be. Called often, as the kernel refuses all but ten changes a second, of everybody."""
        pids = {os.getpid()}
        if has_children():
            pids |= descendants_of(os.getpid())
        if self._load is None or self._load.is_heavy(pids, monotonic()):
            nice = NICEST if self._load is None else SHARED_NICE
            self._lowered |= {pid for pid in pids if set_session_weight(pid, nice)}
        else:
            self._lowered = {pid for pid in self._lowered & pids if not set_session_weight(pid, 0)}


class Load:
    """Judges whether work is heavy: by what it uses and, for the way back, by what it would use if it did not give way.

    Short waits, before each of many short runs, make that too much; so now and then it has to show what it uses unhindered.
    `used_s` and `waited_s` return the seconds in which processes ran so far, and were ready to run and did not; `ended`
    counts the jobs that have ended.
    """

    def __init__(self, used_s: Clock, waited_s: Clock, ended: Callable[[], int]) -> None:
        self._used_s, self._waited_s, self._ended = used_s, waited_s, ended
        self._since = self._used = self._waited = self._until = 0.0
        self._jobs = 0
        self._heavy = False

    def is_heavy(self, pids: Collection[int], now: float) -> bool:
        """Judge these processes by the time since the last judgement, if that is long enough."""
        passed_s = now - self._since
        if passed_s >= WINDOW_S:
            was_heavy, self._since = self._heavy, now
            self._heavy = self._judge(pids, passed_s) and not (was_heavy and now > self._until)
            if self._heavy and not was_heavy:
                self._until = now + HEAVY_S
        return self._heavy

    def _judge(self, pids: Collection[int], passed_s: float) -> bool:
        used, self._used = self._used, self._used_s(pids)
        jobs, self._jobs = self._jobs, self._ended()
        used = self._used - used
        bounds = LONG if used > LONG_S * max(1, self._jobs - jobs) else SHORT
        if not self._heavy and used <= bounds.heavy * passed_s:
            return False
        waited, self._waited = self._waited, self._waited_s(pids)
        return not self._heavy or used + max(0.0, self._waited - waited) > bounds.light * passed_s


def set_session_weight(pid: int, nice: int) -> bool:
    """Set the weight of a process's session, as a nice value; returns whether it is in effect."""
    file = Path(f"/proc/{pid}/autogroup")
    try:
        text = file.read_text()
        if text and not text.endswith(f" nice {nice}\n"):
            file.write_text(str(nice))
    except OSError:  # the process is gone, another system, or too many changes at once
        return False
    return bool(text)
