"""Run each job in a host: find one, run it there, and go on elsewhere if it was lost by what may be another job's doing."""

from __future__ import annotations

import asyncio
import resource
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from consumer.attempt import Attempt
from consumer.hosts.child import HostSpec
from consumer.hosts.host import Host, HostListener
from consumer.hosts.host_stats import HostStats
from consumer.hosts.in_hand import Interrupted
from consumer.hosts.place import Place
from consumer.hosts.places import SHARED, Places
from consumer.hosts.slots import FreshSlots, Slots, WantedSlots
from consumer.hosts.starting import start_host
from sluice.core.catalogue import KindInfo
from sluice.core.outcome import ChildDied, Ending, FilesGone, OutOfMemory, Released
from sluice.core.registry import Registry
from sluice.core.runtime.tasks import TaskSet
from sluice.errors import StartRefused

MOST_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
"""Open files from which on a host is renewed: one that has no more fails every job."""


AnyPlace: TypeAlias = Place | Slots | WantedSlots
Lack = OutOfMemory | FilesGone
"""Endings that may be the fault of others in the same process."""


class Wear(NamedTuple):
    """When a host is renewed: after this many jobs, from this many MiB of memory on, when a job has spoilt it or left files open."""

    jobs: int
    memory_mib: int

    def reason(self, host: Host) -> str:
        """Say why this host should be renewed; empty: it should not."""
        if host.started_jobs >= self.jobs:
            return "jobs"
        if host.spoilt:
            return "spoilt"
        if host.uses.files > MOST_FILES:
            return "files"
        return "memory" if host.uses.memory_mib >= self.memory_mib else ""


class Hosts:
    """Every place where a job can run. `on_refused` is called if no host can be started any more."""

    def __init__(
        self, spec: HostSpec, wear: Wear, stats: HostStats, on_refused: Callable[[], object]
    ) -> None:
        self._spec, self.stats, self._on_refused = spec, stats, on_refused
        self._refused: StartRefused | None = None
        self._versions: dict[str, int] = {}
        self.places = Places(self._start, wear.reason, spec.blocked_s, stats)
        self._listener = HostListener(
            self.places.replace_late, stats.add_blocked, self.places.hold_up, stats.add_died
        )
        self.slots = Slots(partial(self._start, "slot", slot=True), wear.reason, spec.processes)
        self._fresh = [
            FreshSlots(partial(self._start, "alone", slot=slot, alone=True)) for slot in (False, True)
        ]
        self._coming: TaskSet[Host | None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Hosts {self.places} {self.slots}>"

    @property
    def all(self) -> list[Host]:
        """Every host that is alive."""
        slots = (self.slots, *self._fresh)
        return [*self.places.hosts, *(host for each in slots for host in each.hosts)]

    def add_up(self, value: Callable[[Host], float]) -> dict[str, float]:
        """Add up a value of all hosts by what they are for: `shared`, `slot`, `alone`, or the kind that has one to itself."""
        sums: defaultdict[str, float] = defaultdict(float)
        for host in self.all:
            sums[host.name] += value(host)
        return sums

    def describe(self) -> str:
        """Say which hosts there are, and which of them are blocked, in one line."""
        counts = self.add_up(lambda _: 1)
        alive = ", ".join(f"{count:g} {name}" for name, count in counts.items()) or "none"
        blocked = "; ".join(
            f"{host.name} is blocked at {host.blocked_at}" for host in self.all if host.blocked_at
        )
        return f"{alive}; {blocked}" if blocked else alive

    def describe_weight(self) -> str:
        """Say how hosts give way to other processes."""
        return next((host.weight for host in self.all), "no host")

    async def open(self) -> Registry[KindInfo]:
        """Start the shared host; returns the kinds that it has loaded. Raises StartRefused, or OSError."""
        host = Host(self._spec, SHARED, False, self._listener)
        kinds = Registry(await host.start())
        self._versions = kinds.versions
        self.places.shared.put(host)
        return kinds

    async def run(self, attempt: Attempt) -> Ending:
        """Run a job; returns how it ended. Raises only its own task's CancelledError.

        A job whose host was lost, and nobody knows by whose fault, goes on among its own kind; if that is lost as well, alone.
        In a process slot it is alone already, but not the first: it goes on in a new one.
        One that ran out of memory or file descriptors, or found one closed, is tried once more, alone: others may have done that.
        """
        steps = [self._run_among_all, self._run_among_own_kind, self._run_alone]
        if attempt.info.runs_in == "process":
            steps.remove(self._run_among_own_kind)
        if attempt.job.solo_crashes > 0:
            del steps[:-1]
        for run in steps:
            if attempt.stopped is not None:
                break
            try:
                ending = await run(attempt)
            except Interrupted:
                continue
            if isinstance(ending, Lack) and run != self._run_alone:
                return await self._run_once_more(attempt, ending)
            return ending
        return Released()

    async def keep(self) -> None:
        """Look after the hosts, for ever."""
        await self.places.keep()

    def check(self) -> None:
        """Raise StartRefused if hosts could not be started any more."""
        if self._refused is not None:
            raise self._refused

    async def close(self) -> None:
        """End every host. Bounded."""
        await self._coming.cancel()
        await asyncio.gather(
            self.places.close(), self.slots.close(), *(fresh.close() for fresh in self._fresh)
        )

    def _run_among_all(self, attempt: Attempt) -> Awaitable[Ending]:
        if attempt.info.runs_in == "process":
            return self._run_at(self.slots, attempt)
        return self._run_with_others(self.places.find(attempt), attempt)

    async def _run_among_own_kind(self, attempt: Attempt) -> Ending:
        if self.places.crowded:
            return await self._run_alone(attempt)
        try:
            return await self._run_with_others(self.places.own(attempt.info.kind), attempt)
        except Interrupted as lost:
            if not lost.suspected:
                self.places.strike(attempt.info.kind)
            raise

    async def _run_with_others(self, place: Place, attempt: Attempt) -> Ending:
        try:
            ending = await self._run_at(place, attempt)
        except Interrupted as lost:
            if lost.suspected:
                self.places.strike(attempt.info.kind)
            raise
        if isinstance(ending, ChildDied):
            self.places.strike(attempt.info.kind)
        return ending

    async def _run_once_more(self, attempt: Attempt, ending: Ending) -> Ending:
        """Run a job alone that lacked memory or files among others. A kind whose jobs lack them there, too, is believed at once."""
        kind, blame = attempt.info.kind, self.places.blame
        place = WantedSlots(self._fresh_for(attempt), lambda: not blame.lacks_alone(kind))
        again = await self._run_at(place, attempt)
        if place.refused:
            return ending
        blame.hear_alone(kind, isinstance(again, Lack))
        return again

    def _run_alone(self, attempt: Attempt) -> Awaitable[Ending]:
        """Run a job in a new host, which ends with it."""
        return self._run_at(self._fresh_for(attempt), attempt)

    def _fresh_for(self, attempt: Attempt) -> FreshSlots:
        return self._fresh[attempt.info.runs_in == "process"]

    async def _run_at(self, place: AnyPlace, attempt: Attempt) -> Ending:
        while True:
            host = place.take()
            if host is None:
                host = await self._wait_for_host(place, attempt)
            if host is None:
                return Released()
            try:
                if not await attempt.fetch_input(host.room):
                    return Released()
                if host.available:
                    return await host.run(attempt)
                attempt.drop_input()
            finally:
                place.put_back(host)

    async def _wait_for_host(self, place: AnyPlace, attempt: Attempt) -> Host | None:
        """Wait for a host; None if the attempt was stopped meanwhile."""
        coming = self._coming.start(place.wait(), f"host-for-{attempt.job.id}")
        with attempt.wait_for_host() as stopped:
            await asyncio.wait([coming, stopped], return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]  # futures of two types
        if attempt.stopped is None:
            return coming.result()
        coming.add_done_callback(partial(_put_back_late, place))
        return None

    async def _start(self, name: str, slot: bool = False, alone: bool = False) -> Host:
        return await start_host(
            lambda: Host(self._spec, name, slot, self._listener, alone), self._check_versions, self._refuse
        )

    def _check_versions(self, kinds: list[KindInfo]) -> None:
        """Refuse kinds that are not those for which this consumer holds its lease: their files have changed meanwhile."""
        if Registry(kinds).versions != self._versions:
            raise StartRefused("kinds or their versions have changed since this consumer started: restart it")

    def _refuse(self, why: StartRefused) -> None:
        self._refused = why
        self._on_refused()


def _put_back_late(place: AnyPlace, coming: asyncio.Task[Host | None]) -> None:
    if not coming.cancelled() and coming.exception() is None and (host := coming.result()) is not None:
        place.put_back(host)
