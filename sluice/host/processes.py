"""Find and end the processes that were started below this one, in whatever session or group they are."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from os import kill, waitid, waitpid  # bound now: a job may put something else in their place
from pathlib import Path
from signal import SIGKILL, Signals
from time import sleep

PR_SET_CHILD_SUBREAPER = 36
"""Of <linux/prctl.h>."""

ROUNDS = 50
"""How often to look again: what is being killed may have started others."""

PAUSE_S = 0.002


def signal_name(number: int) -> str:
    """Name a signal. Most real-time signals have no name."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose parent ends, so that none escapes; returns whether the system can do that."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def has_children() -> bool:
    """Tell whether this process has children, as quickly as can be."""
    try:
        waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def children_of(pid: int) -> set[int]:
    """Return the pids of a process's children; none if the system does not tell or the process is gone."""
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.update(map(int, (task / "children").read_text().split()))
    return found


def descendants_of(pid: int) -> set[int]:
    """Return the pids of a process's children, their children, and so on."""
    found: set[int] = set()
    new = children_of(pid)
    while new:
        found |= new
        new = set().union(*map(children_of, new)) - found
    return found


def end_descendants(spared: Collection[int] = ()) -> int:
    """Kill what descends from this process, but for `spared` and what descends from those; returns how many were killed.

    Needs `adopt_orphans`: what has lost its parent is then a child of this process.
    """
    killed: set[int] = set()
    for _ in range(ROUNDS):
        left = _own_descendants(spared)
        if not left:
            break
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                kill(pid, SIGKILL)
        killed |= left
        _reap(left)
        sleep(PAUSE_S)
    return len(killed)


def _own_descendants(spared: Collection[int]) -> set[int]:
    if not has_children():  # nearly always: /proc is slower
        return set()
    own = children_of(os.getpid()) - set(spared)
    return own.union(*map(descendants_of, own))


def _reap(pids: Collection[int]) -> None:
    """Collect the exit statuses of those that are children, which would remain as zombies."""
    for pid in pids:
        with suppress(ChildProcessError):
            waitpid(pid, os.WNOHANG)
