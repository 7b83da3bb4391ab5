"""What one host may use: memory, and its place in the order in which the kernel ends processes."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sluice.host.lag import Lag

MOST_OOM_SCORE_ADJ = 1000
MEASURE_TICKS = 2
"""Ticks from one measurement to the next."""


def limit_memory(mib: int) -> None:
    """Limit what this process may allocate (0: no bound), and make it the first that the kernel ends when memory runs out.

    The bound counts memory that can be written to, used or not; what is merely reserved, or shared like libraries, is free.
    """
    with suppress(OSError):  # another system, or a locked one
        Path("/proc/self/oom_score_adj").write_text(str(MOST_OOM_SCORE_ADJ))
    _limit(resource.RLIMIT_CORE, 0)
    if mib:
        _limit(resource.RLIMIT_DATA, mib << 20)


def memory_is_short() -> bool:
    """Tell whether this process holds more than half of what it may allocate."""
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY:
        return False
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except OSError:
        return False
    return pages * resource.getpagesize() > most // 2


def measure(lag: Lag | None = None) -> tuple[int, int, int, float, float]:
    """Return this process's resident memory in MiB, threads, open files, and seconds in which it waited for a processor, and in
    which its event loop was held up.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        pages = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // resource.getpagesize()
        files = 0
    memory_mib = pages * resource.getpagesize() >> 20
    held_up_s = lag.held_up_s if lag is not None else 0.0
    return memory_mib, threading.active_count(), files, waited_for_processor_s(os.getpid()), held_up_s


class Pulse:
    """Tells the consumer that this host is alive, and what it uses."""

    def __init__(self, send: Callable[[tuple[Any, ...]], object], lag: Lag | None = None) -> None:
        self._send, self._lag = send, lag
        self._ticks = 0

    def tick(self) -> None:
        """Tell it, every second time."""
        if self._ticks % MEASURE_TICKS == 0:
            self._send(("alive", *measure(self._lag)))
        self._ticks += 1


def waited_for_processor_s(pid: int) -> float:
    """Return for how many seconds a process has been ready to run and did not; 0 if the system does not tell.

    Source: the kernel's Documentation/scheduler/sched-stats.rst, `/proc/<pid>/schedstat`; the main thread alone.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY or most < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, hard))
