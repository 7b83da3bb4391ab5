"""Memory and open files of every process over time, and whether they stay level."""

from __future__ import annotations

import asyncio
import csv
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import linear_regression, median
from time import monotonic
from typing import NamedTuple

EVERY_S = 10.0
WARM_S = 600.0
"""Seconds until a process has what it needs; growth before that means nothing."""
MOST_MIB, PER_S = 1.0, 600.0
"""Growth that is allowed: MiB in so many seconds."""
MOST_FILES = 5
_PROC = Path("/proc")
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


class Sample(NamedTuple):
    """A process at one moment: seconds since the start, resident memory in MiB, open files."""

    at_s: float
    name: str
    pid: int
    mib: float
    files: int


class Trend(NamedTuple):
    """One process after its warm-up: memory at both ends, growth in MiB per ten minutes, fewest files at both ends.

    How many files are open changes with the clients that wait; what is never closed raises even the fewest.
    """

    name: str
    samples: int
    first_mib: float
    last_mib: float
    growth: float
    first_files: int
    last_files: int

    @property
    def level(self) -> bool:
        """Tell whether it keeps to what it has."""
        return self.growth < MOST_MIB and abs(self.last_files - self.first_files) <= MOST_FILES


async def watch(pids: Callable[[], Mapping[str, int]], into: list[Sample], every_s: float = EVERY_S) -> None:
    """Sample every process, for ever."""
    began = monotonic()
    while True:
        for name, pid in pids().items():
            found = look(name, pid, monotonic() - began)
            if found is not None:
                into.append(found)
        await asyncio.sleep(every_s)


def look(name: str, pid: int, at_s: float) -> Sample | None:
    """Sample a process; return None if there is none."""
    try:
        memory = _RSS.search((_PROC / str(pid) / "status").read_text())
        files = len(list((_PROC / str(pid) / "fd").iterdir()))
    except OSError:
        return None
    return Sample(at_s, name, pid, int(memory[1]) / 1024, files) if memory else None


def trends(samples: Sequence[Sample], warm_s: float = WARM_S) -> list[Trend]:
    """Return the trend of every process that lived from the end of the warm-up to the last sample."""
    lives: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
    for each in samples:
        if each.at_s >= warm_s:
            lives[each.name, each.pid].append(each)
    end = max((each.at_s for each in samples), default=0.0)
    return [
        _trend(name, seen)
        for (name, _), seen in sorted(lives.items())
        if len(seen) >= 3 and seen[-1].at_s > end - 2 * EVERY_S and seen[0].at_s < warm_s + 2 * EVERY_S
    ]


def write(samples: Sequence[Sample], path: Path) -> None:
    """Write the samples as a table for other programs."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(Sample._fields)
        table.writerows((f"{each.at_s:.0f}", *each[1:3], f"{each.mib:.1f}", each.files) for each in samples)


def _trend(name: str, seen: Sequence[Sample]) -> Trend:
    part = max(1, len(seen) // 5)
    first, last = seen[:part], seen[-part:]
    slope = linear_regression([each.at_s for each in seen], [each.mib for each in seen]).slope
    return Trend(
        name,
        len(seen),
        median(each.mib for each in first),
        median(each.mib for each in last),
        slope * PER_S,
        min(each.files for each in first),
        min(each.files for each in last),
    )
