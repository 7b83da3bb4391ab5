"""The limit of memory is read from control groups of both versions."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from sluice.adapters.memory_limit import read_memory_limit

GIB = 1 << 30
V1_NONE = 9_223_372_036_854_771_712


def limit(root: Path, lines: str, files: dict[str, str]) -> float:
    """What is read where the process is in these groups, of which each has its file."""
    proc, groups = root / "proc", root / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(lines)
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{text}\n")
    return read_memory_limit(proc, groups)


@pytest.mark.parametrize(
    ("lines", "files", "said"),
    [
        ("0::/\n", {"memory.max": str(GIB)}, GIB),
        ("0::/\n", {"memory.max": "max"}, inf),
        ("0::/\n", {}, inf),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(GIB)}, GIB),
        ("0::/a/b\n", {"a/b/memory.max": str(GIB), "a/memory.max": str(2 * GIB)}, GIB),
        ("0::/gone/../there\n", {"memory.max": str(GIB)}, GIB),
        ("4:memory:/x\n0::/\n", {"memory/memory.limit_in_bytes": str(GIB)}, GIB),
        ("4:cpu,memory:/x\n", {"memory/x/memory.limit_in_bytes": str(V1_NONE)}, inf),
        ("", {"memory.max": str(GIB)}, inf),
    ],
)
def test_the_least_limit_of_a_group_and_those_above_it_counts(
    tmp_path: Path, lines: str, files: dict[str, str], said: float
) -> None:
    assert limit(tmp_path, lines, files) == said


def test_where_there_are_no_control_groups_nothing_limits(tmp_path: Path) -> None:
    assert read_memory_limit(tmp_path, tmp_path) == inf
