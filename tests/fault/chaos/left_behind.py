"""Find processes that nobody ended: all that descends from a run has the ledger's path in its environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sluice.host.processes import descendants_of
from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.kinds import LEDGER
from tests.support.waiting import until

GONE_S = 8.0
"""Seconds in which what has lost its consumer, or its job, is gone."""
OURS = ("sluice.host", "consumer", "api", "tests.fault.crash")
"""Modules that run for as long as the product does."""

Life = tuple[int, str]
"""A pid, and when its process began: another process may get the same pid."""


def descendants(pid: int) -> set[Life]:
    """Return what descends from a process, as it is now."""
    return _lives(descendants_of(pid))


def of_run(ledger: Path) -> set[Life]:
    """Return every process of a run."""
    marker = f"{LEDGER}={ledger}".encode()
    return _lives(pid for pid in _pids() if marker in _read(pid, "environ").split(b"\0"))


def of_jobs(ledger: Path) -> set[Life]:
    """Return the processes of a run that are neither the product nor its hosts."""
    return {life for life in of_run(ledger) if not set(OURS) & set(_command(life[0]).split())}


def end(lives: set[Life]) -> None:
    """Kill what is left of a run."""
    for pid, _ in _alive(lives):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def until_gone(lives: set[Life], why: str, violations: Violations) -> None:
    """Wait until these processes are gone; those that do not go are violations."""
    with suppress(TimeoutError):
        await until(lambda: not _alive(lives), GONE_S)
    for pid, _ in _alive(lives):
        violations.add("processes left behind", f"{why}: {pid} {_command(pid)}")


def _alive(lives: set[Life]) -> set[Life]:
    return lives & _lives(pid for pid, _ in lives)


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]


def _lives(pids: Iterable[int]) -> set[Life]:
    return {life for pid in pids if (life := _life(pid)) is not None}


def _life(pid: int) -> Life | None:
    """Return a process as such, None if there is none or it has ended and waits for its parent."""
    with suppress(OSError, IndexError):
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        return None if fields[0] == b"Z" else (pid, fields[19].decode())
    return None


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _read(pid: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""
