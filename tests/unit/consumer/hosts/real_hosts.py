"""Hosts as a consumer has them, in real processes, with the endings of their runs at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from consumer.attempt import Attempt
from consumer.hosts.child import HostSpec
from consumer.hosts.descendants import Descendants
from consumer.hosts.host import Host
from consumer.hosts.host_stats import HostStats
from consumer.hosts.hosts import Hosts, Wear
from sluice.core.outcome import Ending
from sluice.core.runtime.telemetry import Telemetry
from sluice.handler import AnyHandler
from tests.support.fakes import Events
from tests.support.waiting import until
from tests.unit.consumer.make_attempts import an_attempt

MODULES = ("tests.unit.consumer.hostile_kinds",)
NO_WEAR = Wear(1_000_000, 1_000_000)


def a_spec(**changes: Any) -> HostSpec:
    """What hosts have in common, with times that suit a test."""
    usual: dict[str, Any] = {
        "modules": MODULES, "memory_mib": 0, "start_s": 30, "grace_s": 0.3, "blocked_s": 2.0,
        "descendants": Descendants(adopts=False),
    }  # fmt: skip
    return HostSpec(**(usual | changes))


class RealHosts:
    """Hosts that run, and what was heard of them."""

    def __init__(self, wear: Wear, **spec: Any) -> None:
        self.events = Events()
        self.stats = HostStats(Telemetry(self.events))
        self.refused: list[bool] = []
        self.hosts = Hosts(a_spec(**spec), wear, self.stats, lambda: self.refused.append(True))

    @property
    def shared(self) -> Host:
        """The shared host that takes jobs."""
        host = self.hosts.places.shared.current
        assert host is not None
        return host

    @property
    def died(self) -> int:
        """How many hosts have died."""
        return self.stats.replaced["died"]

    async def run(self, handler: AnyHandler, given: dict[str, Any] | None = None, **fields: Any) -> Ending:
        """Run a job; returns what is judged of it."""
        return await self.finish(an_attempt(handler, given, **fields))

    async def finish(self, attempt: Attempt) -> Ending:
        """Run this attempt; returns what is judged of it."""
        ending = await self.hosts.run(attempt)
        return attempt.stopped or ending

    async def value(self, handler: AnyHandler, **given: Any) -> Any:
        """Run a job that ends well; returns the value in its reply."""
        return value_of(await self.run(handler, given))

    async def start(
        self, handler: AnyHandler, given: dict[str, Any] | None = None, **fields: Any
    ) -> tuple[Attempt, asyncio.Task[Ending]]:
        """Start a job; returns once a host has it."""
        attempt = an_attempt(handler, given, **fields)
        run = asyncio.create_task(self.finish(attempt))
        await until(lambda: is_under_way(attempt) or run.done())
        return attempt, run


@asynccontextmanager
async def running_hosts(wear: Wear = NO_WEAR, **spec: Any) -> AsyncIterator[RealHosts]:
    """Run hosts for the block, looked after as in a consumer."""
    real = RealHosts(wear, **spec)
    await real.hosts.open()
    keeping = asyncio.create_task(real.hosts.keep())
    try:
        yield real
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await real.hosts.close()


def is_under_way(attempt: Attempt) -> bool:
    """True once a host has it."""
    return attempt.on_stop is not None and not attempt.waiting


def pid_of(host: Host) -> int:
    """The pid of a host."""
    return host._child.pid


def value_of(ending: Ending) -> Any:
    """The value in the reply that a run ended with."""
    assert isinstance(ending, bytes), ending
    return orjson.loads(ending)["value"]


async def mark_in(path: Path) -> int:
    """The number that a handler leaves in a file."""
    await until(lambda: path.exists() and path.read_text())
    return int(path.read_text())  # noqa: ASYNC240  a few bytes
