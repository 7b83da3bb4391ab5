"""Say in plain words how hosts give way to other processes, and what to do where they cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from sluice.host.background import NICEST
from sluice.host.control_groups import GROUPS, PROC, read_numbers, read_or_empty

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


def read_scheduling(proc: Path = PROC, groups: Path = GROUPS) -> Scheduling:
    """Read what decides about this process."""
    autogroup = proc / "self" / "autogroup"
    return Scheduling(
        group=_read_group(proc, groups),
        sessions=read_or_empty(proc / "sys" / "kernel" / "sched_autogroup_enabled") == "1"
        and autogroup.exists(),
        locked=not os.access(autogroup, os.W_OK),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
    )


def _read_group(proc: Path, groups: Path) -> tuple[str, int] | None:
    """Find the weight of the innermost group that has one. In a container the files are those of its own group."""
    for file, weight in read_numbers("cpu", "cpu.shares", "cpu.weight", proc, groups):
        if not (file.parent / "release_agent").exists():
            return file.name, weight
    return None
