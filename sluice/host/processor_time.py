"""How much processor time processes have used, and for how long they have waited for a processor."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from sluice.host.limits import waited_for_processor_s

_TIMES = slice(11, 15)
"""Fields of `/proc/<pid>/stat` after the command's name: user and system time, of a process and of the children it collected."""


def used_s(pids: Collection[int]) -> float:
    """Return the seconds for which these processes, and children of theirs that have ended, have run."""
    return sum(map(_used_ticks, pids)) / os.sysconf("SC_CLK_TCK")


def waited_s(pids: Collection[int]) -> float:
    """Return the seconds for which the threads of these processes have been ready to run and did not."""
    return sum(waited_for_processor_s(thread) for pid in pids for thread in _threads(pid))


def _used_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # the process is gone, or another system
        return 0
    return sum(map(int, fields[_TIMES]))


def _threads(pid: int) -> Iterator[int]:
    with suppress(OSError):
        yield from map(int, os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208  numbers, not paths
