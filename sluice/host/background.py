"""Give way to interactive processes: heavy work runs at the lowest weight that this system lets a process choose for itself.

Linux shares the processor between sessions before it looks at nice values (sched(7), "The autogroup feature"), so a host, which
leads a session of its own, lowers the weight of that. Between containers the weights of their control groups come first.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from time import monotonic, process_time

from sluice.host.limits import waited_for_processor_s

NICEST = 19
AUTOGROUP = Path("/proc/self/autogroup")
AUTOGROUP_ENABLED = Path("/proc/sys/kernel/sched_autogroup_enabled")

HEAVY, LIGHT = 0.8, 0.6
"""Processors that a host uses when its work is found to be heavy, and that it would use when it no longer is."""

WINDOW_S = 1.0


def run_in_background() -> str:
    """Lower the weight of this process and of its session for good; returns what took effect, in a few words."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return set_session_weight(NICEST)


def set_session_weight(nice: int) -> str:
    """Set the weight of this session, as a nice value; returns what is in effect, in a few words."""
    if not _enabled():
        return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
    with suppress(OSError):
        AUTOGROUP.write_text(str(nice))
    return f"autogroup {_read_autogroup()}"


class SessionWeight:
    """Lowers the weight of a host's session while its work is heavy.

    A host of many short jobs needs its share to be quick; one that burns a processor would take it from the api. What counts
    is what it uses and, for the way back, what it would use: a host that gives way waits.
    """

    def __init__(self) -> None:
        self._heavy = False
        self._since, self._used_s, self._waited_s = _read_clocks()

    def adjust(self) -> None:
        """Look at the time since the last look, if that is long enough. Called often."""
        now, used_s, waited_s = _read_clocks()
        passed_s = now - self._since
        if passed_s < WINDOW_S:
            return
        used, wanted = (
            (used_s - self._used_s) / passed_s,
            (used_s - self._used_s + waited_s - self._waited_s) / passed_s,
        )
        self._since, self._used_s, self._waited_s = now, used_s, waited_s
        heavy = wanted > LIGHT if self._heavy else used > HEAVY
        if heavy != self._heavy:
            self._heavy = heavy
            set_session_weight(NICEST if heavy else 0)


def _read_clocks() -> tuple[float, float, float]:
    return monotonic(), process_time(), waited_for_processor_s(os.getpid())


def _enabled() -> bool:
    try:
        return AUTOGROUP_ENABLED.read_text().strip() == "1"
    except OSError:
        return False


def _read_autogroup() -> str:
    try:
        return AUTOGROUP.read_text().rpartition("nice ")[2].strip() or "unknown"
    except OSError:
        return "unknown"
