"""Processes that outlive the program that started them: recorded in a file, found again, and never confused with others.

A process id alone may belong to a stranger by the time it is read again, so the time of its start is recorded beside it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.local.run_as import Identity

_POLL_S = 0.02
_OURSELVES = Identity()


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the machine as it was when it was looked at."""

    pid: int
    parent: int
    session: int
    started_at: str
    state: str
    threads: int = 1

    @property
    def ended(self) -> bool:
        """Whether it is dead and only waits for its parent to notice. Until its last thread is gone its ports are taken."""
        return self.state in {"Z", "X"} and self.threads <= 1

    @property
    def frozen(self) -> bool:
        """Whether it was stopped in its tracks."""
        return self.state in {"T", "t"}


@dataclass(frozen=True, slots=True)
class Record:
    """A process we started: its id and when it started. It leads a session of its own."""

    pid: int
    started_at: str

    @classmethod
    def of(cls, pid: int) -> "Record":
        """Record a running process; raises ProcessLookupError when it is gone."""
        process = table().get(pid)
        if process is None:
            raise ProcessLookupError(pid)
        return cls(pid, process.started_at)

    @classmethod
    def read(cls, file: Path) -> "Record | None":
        """Read what write() wrote; None when there is no such file or it is cut short."""
        try:
            pid, started_at = file.read_text().split(" ", 1)
            return cls(int(pid), started_at.strip())
        except (FileNotFoundError, ValueError):
            return None

    def write(self, file: Path) -> None:
        """Write this record, whole or not at all."""
        draft = file.with_suffix(".new")
        draft.write_text(f"{self.pid} {self.started_at}\n")
        draft.replace(file)

    def members(self) -> list[int]:
        """Return the ids of the process (first), of its descendants and of what is left of its session."""
        return _members(self, table())

    @property
    def alive(self) -> bool:
        """Whether the process itself still runs (a zombie does not)."""
        return _is_same(self, table().get(self.pid))


def spawn(
    argv: list[str], *, log: Path, cwd: Path, env: dict[str, str], identity: Identity = _OURSELVES
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to the log file, nothing on its standard input."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [*identity.prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
            user=identity.user,
            group=identity.group,
            extra_groups=identity.extra_groups,
        )


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to each; those that are gone already are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_all(record: Record) -> list[int]:
    """Kill the process with all it started, and return their ids. Nothing is left to fork a successor meanwhile."""
    if record.alive:
        send(signal.SIGSTOP, [record.pid])
    pids = record.members()
    send(signal.SIGKILL, pids)
    return pids


def freeze_all(pids: Callable[[], list[int]]) -> bool:
    """Stop these in their tracks, also those that appear meanwhile; False when one still runs after ten seconds."""

    def all_frozen() -> bool:
        now = table()
        moving = [pid for pid in pids() if pid in now and not now[pid].frozen]
        send(signal.SIGSTOP, moving)
        return not moving

    return wait_until(all_frozen, 10)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll the condition until it holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def none_alive(pids: Iterable[int]) -> bool:
    """Say whether all of these processes are gone (zombies count as gone)."""
    now = table()
    return all(pid not in now or now[pid].ended for pid in pids)


def table() -> dict[int, Process]:
    """Return all processes of the machine by id."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return table_of_ps()
    found = (_read_stat(entry) for entry in proc.iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def _read_stat(entry: Path) -> Process | None:
    try:
        text = (entry / "stat").read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return None
    state, parent, _, session, *rest = text.rpartition(")")[2].split()
    return Process(int(entry.name), int(parent), int(session), rest[15], state, int(rest[13]))


def table_of_ps() -> dict[int, Process]:
    """The same where there is no /proc; a process group stands for the session."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 4) for line in listing.splitlines())
    return {
        int(pid): Process(int(pid), int(parent), int(group), started_at.strip(), state[0])
        for pid, parent, group, state, started_at in rows
    }


def _is_same(record: Record, process: Process | None) -> bool:
    return process is not None and not process.ended and process.started_at == record.started_at


def _members(record: Record, processes: dict[int, Process]) -> list[int]:
    root = processes.get(record.pid)
    if root is not None and root.started_at != record.started_at:
        return []  # the id belongs to somebody else now, and so does a session of that number
    found = [record.pid] if _is_same(record, root) else []
    found += [
        p.pid for p in processes.values() if p.session == record.pid and p.pid != record.pid and not p.ended
    ]
    for pid in found:  # grows while it is walked: children of children
        found += [p.pid for p in processes.values() if p.parent == pid and p.pid not in found and not p.ended]
    return found
