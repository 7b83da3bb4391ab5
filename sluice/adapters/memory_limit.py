"""How much memory this process and its hosts may use together: the limit of their container, or of their unit of systemd."""

from __future__ import annotations

from math import inf
from pathlib import Path

from sluice.host.control_groups import GROUPS, PROC, read_numbers

_UNLIMITED = 1 << 60
"""Version 1 of control groups has a huge number where nothing limits."""


def read_memory_limit(proc: Path = PROC, groups: Path = GROUPS) -> float:
    """Return the least limit, in bytes, of the control groups that this process is in; infinity where none has one."""
    limits = read_numbers("memory", "memory.limit_in_bytes", "memory.max", proc, groups)
    return min((limit for _, limit in limits if limit < _UNLIMITED), default=inf)
