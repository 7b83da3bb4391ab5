"""One client's stream: what waits to be sent to it, and how far it has come."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable

from api.events.event import Event, write_cursor
from api.events.job_logs import BEFORE_ALL, Place
from api.http.asgi import Receive

MOST_WAITING = 1_000
"""Events that wait for a slow reader. They are shared; beyond that it is told what it missed as if it had come anew."""


class Stream(ABC):
    """A client that listens. `behind`: it has to be told how things stand; `over`: nothing more is to be said."""

    __slots__ = ("_limit", "_waiting", "behind", "gone", "over", "prefix", "tenant")

    def __init__(self, tenant: str, prefix: str) -> None:
        self.tenant, self.prefix = tenant, prefix
        self.behind, self.gone, self.over = True, False, False
        self._waiting: deque[Event] = deque()
        self._limit: asyncio.Timeout | None = None

    def push(self, event: Event) -> None:
        """Have an event sent."""
        if len(self._waiting) >= MOST_WAITING:
            self.catch_up()
        else:
            self._waiting.append(event)
            self.wake()

    def catch_up(self) -> None:
        """Forget what waits, and be told how things stand instead."""
        self._waiting.clear()
        self.behind = True
        self.wake()

    def take(self) -> bytes:
        """Take what is to be sent now."""
        events = list(self._waiting)
        self._waiting.clear()
        return self.write(events)

    def write(self, events: Iterable[Event]) -> bytes:
        """Write those of these events that are new to the client."""
        return b"".join(part for event in events if self.admits(event) for part in self.encode(event))

    @abstractmethod
    def admits(self, event: Event) -> bool:
        """Tell whether this is new to the client, and note that it has it then."""

    @abstractmethod
    def encode(self, event: Event) -> tuple[bytes, ...]:
        """Encode an event with its id."""

    def end(self) -> None:
        """Say no more."""
        self.over = True
        self.wake()

    def wake(self) -> None:
        """End the pause."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)

    async def pause(self, receive: Receive, seconds: float) -> None:
        """Wait until there is something to do, the client has gone, or so long."""
        if not (self._waiting or self.behind or self.over):
            await self.rest(receive, seconds)

    async def rest(self, receive: Receive, seconds: float) -> None:
        """Wait so long, or until something happens or the client has gone. One task does both: streams are many."""
        try:
            async with asyncio.timeout(seconds) as self._limit:
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.gone = True
        except TimeoutError:
            pass
        finally:
            self._limit = None


class JobStream(Stream):
    """A stream of one job. `version` and `place` are the newest that the client has been told of."""

    __slots__ = ("job_id", "place", "version")

    def __init__(
        self, tenant: str, prefix: str, job_id: str, version: int = 0, place: Place = BEFORE_ALL
    ) -> None:
        super().__init__(tenant, prefix)
        self.job_id, self.version, self.place = job_id, version, place

    def admits(self, event: Event) -> bool:
        if self.over:
            return False
        if event.place is not None:
            new = event.place > self.place
            self.place = max(self.place, event.place)
            return new
        if event.last:
            self.over = True
        elif event.version and event.version <= self.version:
            return False
        self.version = event.version or self.version
        return True

    def encode(self, event: Event) -> tuple[bytes, ...]:
        return b"id: ", write_cursor(self.version, self.place), b"\n", event.encode(self.prefix)


class TenantStream(Stream):
    """A stream of all jobs of a tenant. It cannot be continued: its ids say only that there was one."""

    __slots__ = ()

    def admits(self, event: Event) -> bool:
        return not self.over

    def encode(self, event: Event) -> tuple[bytes, ...]:
        return b"id: 0\n", event.encode(self.prefix)
