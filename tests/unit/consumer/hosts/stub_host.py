"""Hosts without processes, for those who hand out hosts."""

from __future__ import annotations

import asyncio
from typing import cast

from consumer.hosts.host import Host, Measures


class StubHost:
    """What is asked of a host before it gets a job, and what it is told after."""

    def __init__(self, name: str = "shared") -> None:
        self.name = name
        self.ending, self.gone = False, asyncio.Event()
        self.listens = True
        self.in_hand = self.started_jobs = self.blocked_ends = 0
        self.silent_s = 0.0
        self.uses, self.spoilt = Measures(), False
        self.replaced = False

    @property
    def available(self) -> bool:
        return not self.ending and not self.gone.is_set() and self.listens

    @property
    def host(self) -> Host:
        """Itself, for those who take hosts."""
        return cast(Host, self)

    def replace(self) -> None:
        self.ending = self.replaced = True
        self.in_hand = 0

    async def end_blocked(self) -> None:
        self.blocked_ends += 1
        self.ending = True
        self.gone.set()

    async def close(self) -> None:
        self.ending = True
        self.gone.set()


class Starter:
    """Starts stubs, once it may."""

    def __init__(self) -> None:
        self.started: list[StubHost] = []
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, name: str = "shared") -> Host:
        await self.may.wait()
        self.started.append(StubHost(name))
        return self.started[-1].host
