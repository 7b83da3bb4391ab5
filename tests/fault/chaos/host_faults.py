"""How hosts are harmed from outside: found below their consumer, hit, and waited for until another is in their place."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sluice.host.processes import children_of
from tests.support.waiting import until

WITHIN_S = 30.0
"""Seconds in which a host is there, and another once it was ended."""
TRIES = 20
SYS_PIDFD_GETFD = 438
"""Of <asm-generic/unistd.h>."""
HIGH_FD = 100
"""Hosts keep their socket above all that a process opens by itself."""
STARVED_BYTES = 1 << 20
GARBAGE, HALF_A_MESSAGE = b"\xff" * 64, b"\x40\0\0\0half"
TAIL = 1 << 16
"""Bytes of the ledger in which the hosts at work are looked for."""


class HostProcess(NamedTuple):
    """A process that runs handlers; `name` says what for: `shared`, `slot`, `alone`, or a kind."""

    pid: int
    name: str

    @property
    def shared(self) -> bool:
        """Tell whether many jobs run there at once."""
        return self.name not in ("slot", "alone")


class HostFaults:
    """Harms hosts. `hit` are the pids of all that were harmed; `ledger` tells which are at work."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self.hit: set[int] = set()

    async def end(self, consumer: int, harm: Callable[[int], None], shared: bool) -> float:
        """Do to a host what has to end it, and wait until another is there."""
        pid = await self._harm(consumer, harm, shared)
        ended = time.time()
        await until(lambda: pid not in children_of(consumer), WITHIN_S)
        if shared:
            await until(lambda: any(host.shared for host in hosts_of(consumer)), WITHIN_S)
        return ended

    async def freeze(self, consumer: int, lasts_s: float, shared: bool) -> float:
        """Stop a host; it goes on later, unless its consumer has ended it."""
        pid = await self._choose(consumer, shared)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(lasts_s)
            os.kill(pid, signal.SIGCONT)
        return time.time()

    async def starve(self, consumer: int, lasts_s: float) -> float:
        """Let a host allocate no more memory for a while."""
        pid = await self._choose(consumer, shared=True)
        with suppress(ProcessLookupError):
            before = resource.prlimit(pid, resource.RLIMIT_DATA)
            resource.prlimit(pid, resource.RLIMIT_DATA, (STARVED_BYTES, before[1]))
            await asyncio.sleep(lasts_s)
            resource.prlimit(pid, resource.RLIMIT_DATA, before)
        return time.time()

    async def _harm(self, consumer: int, harm: Callable[[int], None], shared: bool) -> int:
        """Do this to a host; one that is only just beginning, or about to end, has no socket."""
        for _ in range(TRIES):
            pid = await self._choose(consumer, shared)
            try:
                harm(pid)
            except OSError:
                await asyncio.sleep(0.5)
            else:
                return pid
        raise TimeoutError("no host could be harmed")

    async def _choose(self, consumer: int, shared: bool) -> int:
        """Choose the host that began a job last, after waiting for one."""
        await until(lambda: self._candidates(consumer, shared), WITHIN_S)
        found = self._candidates(consumer, shared)
        pid = next((each for each in self._at_work() if each in found), min(found))
        self.hit.add(pid)
        return pid

    def _candidates(self, consumer: int, shared: bool) -> set[int]:
        return {host.pid for host in hosts_of(consumer) if host.shared == shared and host.name != "alone"}

    def _at_work(self) -> list[int]:
        """Return the pids of the last lines of the ledger, the newest first."""
        if not self._ledger.exists():
            return []
        with self._ledger.open("rb") as file:
            file.seek(max(0, self._ledger.stat().st_size - TAIL))
            lines = file.read().splitlines()[1:]
        return [int(line.split()[3]) for line in reversed(lines)]


def hosts_of(consumer: int) -> list[HostProcess]:
    """Find the hosts of a consumer."""
    found = ((pid, _command_of(pid)) for pid in children_of(consumer))
    return [HostProcess(pid, command[-2]) for pid, command in found if "sluice.host" in command[:4]]


def kill(pid: int) -> None:
    """Kill a process."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def write_garbage(pid: int) -> None:
    """Write into the socket of a host what is no message."""
    with _socket_of(pid) as end:
        end.send(GARBAGE)


def hang_up(pid: int) -> None:
    """Write half a message into the socket of a host, and end the connection."""
    with _socket_of(pid) as end:
        end.send(HALF_A_MESSAGE)
        end.shutdown(socket.SHUT_WR)


def _command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def _is_socket(link: Path) -> bool:
    with suppress(OSError):
        return str(link.readlink()).startswith("socket:")
    return False


def _socket_of(pid: int) -> socket.socket:
    """Open the host's end of the socket to its consumer once more, in this process. Raises OSError if it is gone."""
    open_files = {int(each.name): each for each in Path(f"/proc/{pid}/fd").iterdir()}
    theirs = min((fd for fd, link in open_files.items() if fd >= HIGH_FD and _is_socket(link)), default=None)
    if theirs is None:
        raise OSError(errno.ENOTCONN, "it has none yet, or none any more")
    process = os.pidfd_open(pid)
    try:
        fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, process, theirs, 0)
    finally:
        os.close(process)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "the socket of another process cannot be opened")
    return socket.socket(fileno=fd)
