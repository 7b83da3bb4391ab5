"""Process slots: hosts that run one job at a time, started as they are needed and kept for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from consumer.hosts.host import Host
from sluice.core.runtime.tasks import TaskSet

FRESH_AT_ONCE = 2
"""How many jobs have a new host to themselves at the same time: starting one costs as much as hundreds of jobs."""


class Slots:
    """Hands out hosts for one job each, `most` at a time. `start` starts one; `worn` tells that one should not be used again."""

    def __init__(
        self, start: Callable[[], Awaitable[Host]], worn: Callable[[Host], object], most: int
    ) -> None:
        self._start, self._worn, self._most = start, worn, most
        self._idle: deque[Host] = deque()
        self._busy: set[Host] = set()
        self._starting = 0
        self._freed = asyncio.Event()
        self._closing: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Slots: {len(self._busy)} busy, {len(self._idle)} idle>"

    @property
    def hosts(self) -> list[Host]:
        """Every host that is alive."""
        return [host for host in (*self._idle, *self._busy) if not host.gone.is_set()]

    def take(self) -> Host | None:
        """Take an idle host, if there is one and room for it: the one that ran a job last."""
        while self._idle and self._has_room:
            host = self._idle.pop()
            if host.available:
                self._busy.add(host)
                return host
        return None

    async def wait(self) -> Host:
        """Wait for room, and take a host: an idle one, or another that is started."""
        await self._wait_for_room()
        return self.take() or await self._start_another()

    def put_back(self, host: Host) -> None:
        """Keep a host for the next job, or let it end."""
        self._busy.discard(host)
        if not host.available or self._worn(host):
            self._closing.start(host.close(), f"close-{host.name}")
        else:
            self._idle.append(host)
        self._freed.set()

    async def close(self) -> None:
        """End every host. Bounded."""
        for host in self.hosts:
            self._closing.start(host.close(), f"close-{host.name}")
        await self._closing.drain()

    @property
    def _has_room(self) -> bool:
        return len(self._busy) + self._starting < self._most

    async def _wait_for_room(self) -> None:
        while not self._has_room:
            self._freed.clear()
            await self._freed.wait()

    async def _start_another(self) -> Host:
        self._starting += 1
        try:
            host = await self._start()
        finally:
            self._starting -= 1
            self._freed.set()
        self._busy.add(host)
        return host


class FreshSlots(Slots):
    """Hands out new hosts, each for a single job, two at a time."""

    def __init__(self, start: Callable[[], Awaitable[Host]]) -> None:
        super().__init__(start, worn=lambda _: True, most=FRESH_AT_ONCE)

    async def wait_if(self, wanted: Callable[[], bool]) -> Host | None:
        """Start a host once there is room for another, if it is still wanted by then."""
        await self._wait_for_room()
        return await self._start_another() if wanted() else None


class WantedSlots:
    """Hands out new hosts for as long as they are `wanted`; `refused` tells that one was not."""

    def __init__(self, slots: FreshSlots, wanted: Callable[[], bool]) -> None:
        self._slots, self._wanted, self.refused = slots, wanted, False

    def take(self) -> None:
        """Take none: all are new."""

    async def wait(self) -> Host | None:
        """Start a host, if it is wanted."""
        host = await self._slots.wait_if(self._wanted)
        self.refused = host is None
        return host

    def put_back(self, host: Host) -> None:
        """Let the host end."""
        self._slots.put_back(host)
