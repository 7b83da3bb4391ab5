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
    """Hands out hosts for one job each. `start` starts one; `worn` tells that one should not be used again."""

    def __init__(self, start: Callable[[], Awaitable[Host]], worn: Callable[[Host], object]) -> None:
        self._start, self._worn = start, worn
        self._idle: deque[Host] = deque()
        self._busy: set[Host] = set()
        self._closing: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Slots: {len(self._busy)} busy, {len(self._idle)} idle>"

    @property
    def hosts(self) -> list[Host]:
        """Every host that is alive."""
        return [host for host in (*self._idle, *self._busy) if not host.gone.is_set()]

    def take(self) -> Host | None:
        """Take an idle host, if there is one: the one that ran a job last."""
        while self._idle:
            host = self._idle.pop()
            if host.available:
                self._busy.add(host)
                return host
        return None

    async def wait(self) -> Host:
        """Start another host and take it."""
        host = await self._start()
        self._busy.add(host)
        return host

    def put_back(self, host: Host) -> None:
        """Keep a host for the next job, or let it end."""
        self._busy.discard(host)
        if not host.available or self._worn(host):
            self._closing.start(host.close(), f"close-{host.name}")
        else:
            self._idle.append(host)

    async def close(self) -> None:
        """End every host. Bounded."""
        for host in self.hosts:
            self._closing.start(host.close(), f"close-{host.name}")
        await self._closing.drain()


class FreshSlots(Slots):
    """Hands out new hosts, each for a single job, two at a time."""

    def __init__(self, start: Callable[[], Awaitable[Host]]) -> None:
        super().__init__(start, worn=lambda _: True)
        self._room = asyncio.Semaphore(FRESH_AT_ONCE)

    async def wait(self) -> Host:
        """Start a host once there is room for another."""
        await self._room.acquire()
        return await self._start_in_room()

    async def wait_if(self, wanted: Callable[[], bool]) -> Host | None:
        """Start a host once there is room for another, if it is still wanted by then."""
        await self._room.acquire()
        if wanted():
            return await self._start_in_room()
        self._room.release()
        return None

    def put_back(self, host: Host) -> None:
        """Let the host end, and make room."""
        super().put_back(host)
        self._room.release()

    async def _start_in_room(self) -> Host:
        try:
            return await super().wait()
        except BaseException:
            self._room.release()
            raise


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
