"""The places where many jobs run: the one that kinds share, and one for each kind that may not; all are looked after here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic

from consumer.attempt import Attempt
from consumer.hosts.blame import Blame
from consumer.hosts.host import Host
from consumer.hosts.host_stats import HostStats
from consumer.hosts.place import Place
from sluice.core.runtime.tasks import TaskSet, repeat

SHARED = "shared"
TICK_S = 0.5
LATE_S = 1.0
"""Seconds by which a tick is late if this process itself was held up: then hosts were not heard, and are not judged."""

MOST_PLACES = 16
"""Places from which on no kind gets one just to find out whose fault a death was."""

IDLE_S = 60.0
"""Seconds after which the host of a single kind ends, if it has no job."""


class Places:
    """Finds the place of a job. `start` starts a host of this name; `wear` says why a host should be renewed, if it should."""

    def __init__(
        self,
        start: Callable[[str], Awaitable[Host]],
        wear: Callable[[Host], str],
        blocked_s: float,
        stats: HostStats,
    ) -> None:
        self._start, self._wear, self._blocked_s, self._stats = start, wear, blocked_s, stats
        self.blame = Blame()
        self._places = {SHARED: self._make(SHARED)}
        self._background: TaskSet[None] = TaskSet()
        self._ticked = monotonic()

    def __repr__(self) -> str:
        return f"<Places {list(self._places.values())}>"

    @property
    def hosts(self) -> list[Host]:
        """Every host that is alive."""
        return [host for place in self._places.values() for host in place.hosts]

    @property
    def shared(self) -> Place:
        """The place that kinds share."""
        return self._places[SHARED]

    @property
    def crowded(self) -> bool:
        """True while there are so many places that no more should be made."""
        return len(self._places) >= MOST_PLACES

    def own(self, kind: str) -> Place:
        """Return the place that this kind has to itself."""
        return self._places.get(kind) or self._places.setdefault(kind, self._make(kind))

    def find(self, attempt: Attempt) -> Place:
        """Find the place of a job."""
        kind = attempt.info.kind
        return self.own(kind) if self.blame.quarantined(kind) else self.shared

    def strike(self, kind: str) -> None:
        """Note that a kind has blocked or killed its host, or would not end."""
        if self.blame.strike(kind):
            self._stats.add_quarantined(kind)

    def hold_up(self, kind: str, seconds: float) -> None:
        """Note for how long a kind has held up the event loop of a host."""
        if self.blame.hold_up(kind, seconds):
            self._stats.add_quarantined(kind)

    def replace_late(self, host: Host, attempt: Attempt) -> None:
        """Take a host out of service in which a handler goes on although its job is over."""
        self._stats.add_stuck(host.name, attempt)
        self.strike(attempt.info.kind)
        for place in self._places.values():
            if place.current is host and not place.renewing:
                self._stats.replaced["stuck"] += 1
                place.renew()

    async def keep(self) -> None:
        """Look after the hosts, for ever."""
        await repeat(self._tick, TICK_S)

    async def close(self) -> None:
        """End every host. Bounded."""
        await self._background.cancel()
        await asyncio.gather(*(place.close() for place in self._places.values()))

    async def _tick(self) -> None:
        now = monotonic()
        held_up, self._ticked = now - self._ticked > TICK_S + LATE_S, now
        for name, place in list(self._places.items()):
            if not held_up:
                self._end_blocked(place)
            self._renew_worn(place)
            place.end_drained()
            self._close_or_restart(name, place)

    def _close_or_restart(self, name: str, place: Place) -> None:
        """Keep a host at hand for all kinds, and none for a kind alone that has no job."""
        if name == SHARED:
            if place.current is None:
                place.renew()
        elif place.idle_s > IDLE_S:
            del self._places[name]
            self._background.start(place.close(), f"close-{name}")

    def _end_blocked(self, place: Place) -> None:
        for host in place.hosts:
            if host.silent_s > self._blocked_s and not host.ending:
                self._background.start(host.end_blocked(), f"blocked-{host.name}")

    def _renew_worn(self, place: Place) -> None:
        host = place.current
        if host is not None and place.may_wear and (why := self._wear(host)):
            self._stats.add_renewed(host.name, why)
            place.renew()

    def _make(self, name: str) -> Place:
        return Place(name, partial(self._start, name))
