"""A place where many jobs run: one host takes new ones, older ones only finish what they have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from consumer.hosts.host import Host
from sluice.core.runtime.tasks import TaskSet

MOST_DRAINING = 2
"""Hosts that finish what they have; if there are more, the oldest one's jobs are given back."""

RENEWED_EVERY_S = 10.0
"""Least time from one renewal for wear to the next: jobs that wear out every host must leave the others time to end."""


class Place:
    """Has a host at hand. `start` starts one, however often that takes."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Host]]) -> None:
        self.name, self._start = name, start
        self._newest: Host | None = None
        self._coming: asyncio.Task[None] | None = None
        self._draining: list[Host] = []
        self._tasks: TaskSet[None] = TaskSet()
        self._used = monotonic()
        self._fresh_until = 0.0

    def __repr__(self) -> str:
        return f"<Place {self.name}: {self._newest}, {len(self._draining)} draining>"

    @property
    def hosts(self) -> list[Host]:
        """Every host here that has not ended."""
        return [host for host in (self._newest, *self._draining) if host and not host.gone.is_set()]

    @property
    def current(self) -> Host | None:
        """The host that takes new jobs, if it is there."""
        host = self._newest
        return host if host is not None and host.available else None

    @property
    def renewing(self) -> bool:
        """True while a new host is being started."""
        return self._coming is not None and not self._coming.done()

    @property
    def may_wear(self) -> bool:
        """True once the present host has had its least time."""
        return not self.renewing and monotonic() >= self._fresh_until

    @property
    def idle_s(self) -> float:
        """Seconds since a host was last wanted, while none has a job."""
        return 0.0 if self.renewing or any(host.in_hand for host in self.hosts) else monotonic() - self._used

    def take(self) -> Host | None:
        """Return the host that takes new jobs, if it is there."""
        self._used = monotonic()
        return self.current

    async def wait(self) -> Host:
        """Return the host that takes new jobs, after waiting for it."""
        while (host := self.take()) is None:
            await asyncio.shield(self.renew())
        return host

    def put(self, host: Host) -> None:
        """Let this host, which has started, take new jobs."""
        self._newest = host

    def put_back(self, host: Host) -> None:
        """Do nothing: many jobs share a host."""

    def renew(self) -> asyncio.Task[None]:
        """Start a new host; once it is there, the old one takes no new jobs."""
        if self._coming is None or self._coming.done():
            self._coming = self._tasks.start(self._renew(), f"renew-{self.name}")
        return self._coming

    def end_drained(self) -> None:
        """End old hosts that have finished, and the oldest of too many."""
        for host in self._draining[:-MOST_DRAINING]:
            host.replace()
        for host in [each for each in self._draining if not each.in_hand]:
            self._draining.remove(host)
            self._tasks.start(host.close(), f"close-{host.name}")

    async def close(self) -> None:
        """End every host. Bounded."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait([self._coming])
        await asyncio.gather(*(host.close() for host in self.hosts))
        await self._tasks.drain()

    async def _renew(self) -> None:
        new = await self._start()
        old, self._newest = self._newest, new
        self._fresh_until = monotonic() + RENEWED_EVERY_S
        if old is not None:
            self._draining.append(old)
