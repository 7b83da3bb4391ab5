"""What one host may use: memory, and its place in the order in which the kernel ends processes."""

from __future__ import annotations

import resource
import threading
from contextlib import suppress
from pathlib import Path

MOST_OOM_SCORE_ADJ = 1000


def limit_memory(mib: int) -> None:
    """Limit what this process may allocate (0: no bound), and make it the first that the kernel ends when memory runs out.

    The bound counts memory that can be written to, used or not; what is merely reserved, or shared like libraries, is free.
    """
    with suppress(OSError):  # another system, or a locked one
        Path("/proc/self/oom_score_adj").write_text(str(MOST_OOM_SCORE_ADJ))
    _limit(resource.RLIMIT_CORE, 0)
    if mib:
        _limit(resource.RLIMIT_DATA, mib << 20)


def memory_bound() -> str:
    """Say how much this process may allocate, for an error."""
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return "there is" if most == resource.RLIM_INFINITY else f"the {most >> 20} MiB that a process may have"


def measure() -> tuple[int, int, int]:
    """Return the resident memory of this process in MiB, its threads, and its open files."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        pages = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // resource.getpagesize()
        files = 0
    return pages * resource.getpagesize() >> 20, threading.active_count(), files


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY or most < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, hard))
