"""What processes cost according to the kernel: processor time and memory of a process with all its descendants."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
AVAILABLE = (PROC / "self" / "stat").exists()
"""False on systems without /proc, where these figures are left out."""

_PARENT = 1
_TIMES = slice(11, 15)
"""Fields after the command's name: parent; user and system time, of the process and of the children it waited for."""


def cpu_s(roots: Iterable[int]) -> float:
    """Return the processor seconds that these processes and their descendants have used so far."""
    table = _table()
    return sum(sum(map(int, table[pid][_TIMES])) for pid in _family(roots, table)) * TICK_S


def memory_mib(root: int) -> float:
    """Return the resident memory of a process and its descendants; shared pages count for each, so it is never too little."""
    return sum(map(_memory_kib, _family([root], _table()))) / 1024


def _memory_kib(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "status").read_text()
        return int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0])
    except (OSError, IndexError):  # it ended
        return 0


def _family(roots: Iterable[int], table: dict[int, list[str]]) -> set[int]:
    found = {pid for pid in roots if pid in table}
    new = set(found)
    while new:
        new = {pid for pid, fields in table.items() if int(fields[_PARENT]) in new} - found
        found |= new
    return found


def _table() -> dict[int, list[str]]:
    rows = ((entry, _fields(entry)) for entry in PROC.iterdir() if entry.name.isdigit())
    return {int(entry.name): fields for entry, fields in rows if fields}


def _fields(entry: Path) -> list[str]:
    try:
        return (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return []
