"""The processes of a run, read from /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.fault.hostile.case import PROCESS
from tests.fault.hostile.stray import RUN, name


class Found(NamedTuple):
    """A process; `title` is its command line, or its name if that says more."""

    pid: int
    parent: int
    state: str
    title: str


def belonging_to(run: str) -> list[Found]:
    """Return the processes that inherited the mark of this run."""
    return [found for found in _all() if _belongs(found, run)]


def left_by_processes(run: str) -> list[Found]:
    """Return what handlers that run in a process have left behind."""
    return [
        found for found in belonging_to(run) if name(PROCESS) in found.title or found.title == "/usr/bin/yes"
    ]


def end_all(run: str) -> None:
    """Kill whatever a run has left."""
    for found in belonging_to(run):
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGKILL)


def zombies(parents: Iterable[int]) -> list[Found]:
    """Return the dead children for which these have not waited."""
    above = set(parents)
    return [found for found in _all() if found.state == "Z" and found.parent in above]


def _belongs(found: Found, run: str) -> bool:
    with suppress(OSError):
        return f"{RUN}={run}".encode() in _file(found.pid, "environ") or run in found.title
    return False


def _all() -> Iterator[Found]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                yield _read(int(entry.name))


def _read(pid: int) -> Found:
    head, _, rest = _file(pid, "stat").decode(errors="replace").rpartition(")")
    state, parent, *_ = rest.split()
    called = head.partition("(")[2]
    line = _file(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return Found(pid, int(parent), state, called if called.startswith("stray") else line or called)


def _file(pid: int, which: str) -> bytes:
    return Path(f"/proc/{pid}/{which}").read_bytes()
