"""Give way to interactive processes: run at the lowest weight that this system lets a process choose for itself."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICEST = 19
AUTOGROUP = Path("/proc/self/autogroup")
AUTOGROUP_ENABLED = Path("/proc/sys/kernel/sched_autogroup_enabled")


def run_in_background() -> str:
    """Lower the weight of this process and of the session that it leads; returns what took effect, in a few words.

    Linux shares the processor between sessions before it looks at nice values (sched(7), "The autogroup feature"), so the
    session's own weight is lowered too. Between containers the weights of their control groups come first of all.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if not _enabled():
        return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
    with suppress(OSError):
        AUTOGROUP.write_text(str(NICEST))
    return f"autogroup {_read_autogroup()}"


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
