"""Say in plain words how hosts give way to other processes, and what to do where they cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sluice.host.background import NICEST

REMEDY = "give consumers a control group with a small weight (cpu_shares, CPUWeight, a small CPU request)"
DEFAULTS = {"cpu.weight": 100, "cpu.shares": 1024}
"""Files of control groups, version 2 and version 1, and the weight that each group has unless it is given another."""


class Scheduling(NamedTuple):
    """What decides about this process's share: the weight of its control group (None: the root), or sessions, or nice alone.

    `group` has the name and the value of its file. `locked`: sessions decide, and their weights cannot be changed.
    """

    group: tuple[str, int] | None
    sessions: bool
    locked: bool
    nice: int


def describe_weight(found: Scheduling) -> str:
    """Say how hosts give way: process slots, and hosts that jobs share."""
    inside = f"process slots have nice {NICEST}, shared hosts nice {found.nice}"
    if found.group is not None:
        return f"{_describe_group(*found.group)}; inside it {inside}"
    if found.sessions and found.locked:
        return (
            f"hosts share the processor evenly with everything else: /proc/self/autogroup is locked; {REMEDY}"
        )
    if found.sessions:
        return (
            f"sessions decide: process slots have autogroup {NICEST}, shared hosts while their work is heavy"
        )
    return (
        f"nice values alone decide: {inside}, however heavy their work; "
        f"set kernel.sched_autogroup_enabled = 1, or {REMEDY}"
    )


def _describe_group(file: str, weight: int) -> str:
    usual = DEFAULTS[file]
    said = f"control groups decide: this one has {file} {weight}"
    if weight < usual:
        return f"{said} (usual: {usual})"
    return f"{said}, so hosts share the processor evenly with other groups of {usual}; {REMEDY}"


def read_scheduling(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> Scheduling:
    """Read what decides about this process."""
    autogroup = proc / "self" / "autogroup"
    return Scheduling(
        group=_read_group(proc, groups),
        sessions=_read(proc / "sys" / "kernel" / "sched_autogroup_enabled") == "1" and autogroup.exists(),
        locked=not os.access(autogroup, os.W_OK),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
    )


def _read_group(proc: Path, groups: Path) -> tuple[str, int] | None:
    """Find the weight of the innermost group that has one. In a container the files are those of its own group."""
    for file in _weight_files(proc, groups):
        if (text := _read(file)).isdigit() and not (file.parent / "release_agent").exists():
            return file.name, int(text)
    return None


def _weight_files(proc: Path, groups: Path) -> Iterator[Path]:
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        path = Path(group.lstrip("/"))
        if "cpu" in controllers.split(","):
            yield from (groups / "cpu" / each / "cpu.shares" for each in (path, *path.parents))
        elif not controllers:
            yield from (groups / each / "cpu.weight" for each in (path, *path.parents))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
