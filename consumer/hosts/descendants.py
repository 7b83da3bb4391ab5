"""The processes below this consumer: hosts that live, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from contextlib import suppress

from sluice.host.processes import children_of, descendants_of, end_descendants


class Descendants:
    """Knows which children are living hosts, and ends what descends from hosts that are gone.

    `adopts`: orphans become children of this process, which has no others but its hosts.
    """

    def __init__(self, adopts: bool) -> None:
        self._adopts = adopts
        self._hosts: set[int] = set()
        self._starting = asyncio.Lock()

    async def start(self, spawn: Awaitable[asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
        """Start a host. Raises OSError if the machine cannot."""
        async with self._starting:  # until its pid is known, it would be taken for an orphan
            process = await spawn
            self._hosts.add(process.pid)
            return process

    async def forget(self, pid: int) -> None:
        """Note that a host is gone, and end what it has left."""
        async with self._starting:
            self._hosts.discard(pid)
            if self._adopts and children_of(os.getpid()) - self._hosts:
                end_descendants(self._hosts)


def kill_with_descendants(pid: int) -> None:
    """Kill a process and all that descends from it."""
    for each in (pid, *descendants_of(pid)):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
