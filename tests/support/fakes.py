"""Stand-ins for the servers, for unit tests of flows; tests/contract holds the fakes and the real ones to the same behaviour."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from sluice.core.document import Document
from sluice.core.errors import ServerAway
from sluice.core.job import Job, Message
from sluice.core.job_event import JobEvent
from sluice.core.ports import MOST_READ, Result, Wake
from sluice.core.runtime.telemetry import Event


class Events(list[tuple[Event, int, dict[str, Any]]]):
    """Everything that was emitted: attach it to Telemetry."""

    def __call__(self, event: Event, count: int, fields: dict[str, Any]) -> None:
        self.append((event, count, fields))

    def count(self, event: Event) -> int:  # type: ignore[override]  # of the event, not of an entry
        """How many times it happened."""
        return sum(count for each, count, _ in self if each == event)

    def fields(self, event: Event) -> list[dict[str, Any]]:
        """What was said of it each time."""
        return [fields for each, _, fields in self if each == event]


class FakeCache:
    """sluice.core.ports.DocumentCache in memory; `away` makes every call fail as if Redis were gone, or with this error."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.results: dict[bytes, Result] = {}
        self.forgotten: set[str] = set()
        self.announced: list[dict[str, int]] = []
        self.statistics: bytes | None = None
        self.away: bool | Exception = False
        self._listeners: dict[str, list[Callable[[Any], None]]] = {
            topic: [] for topic in ("wake", "stop", "gone", "pauses")
        }

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Finished documents, in the order of the ids, as many as may be read at once."""
        self._check()
        found = [self.documents.get(each) for each in ids]
        sizes = list(accumulate(len(document.pack()) if document else 0 for document in found))
        return found[: max(1, bisect_right(sizes, MOST_READ))]

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """The newest result of each fingerprint."""
        self._check()
        return [self.results.get(each) for each in prints]

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Keep the first document of each id and the last result of each fingerprint, and tell the listeners."""
        self._check()
        for document in finished:
            if document.id not in self.forgotten:
                self.documents.setdefault(document.id, document)
        for fingerprint, job in results.items():
            assert job.finished_at
            self.results[fingerprint] = Result(job.id, job.finished_at.timestamp())
        self.announced.append(dict(versions))
        last = {document.id for document in finished}
        self._tell("wake", {job_id: Wake(version, job_id in last) for job_id, version in versions.items()})

    async def forget(self, *job_ids: str) -> None:
        """Never keep these documents again, and tell the listeners."""
        self._check()
        for job_id in job_ids:
            self.forgotten.add(job_id)
            self.documents.pop(job_id, None)
            self._tell("gone", job_id)

    async def post_statistics(self, statistics: bytes, for_s: float) -> None:
        """Keep the newest, whatever the time."""
        self._check()
        self.statistics, self.posted_for_s = statistics, for_s

    async def read_statistics(self) -> bytes | None:
        """The newest."""
        self._check()
        return self.statistics

    async def ask_stop(self, job_id: str) -> None:
        """Tell the listeners."""
        if not self.away:
            self._tell("stop", job_id)

    async def announce_pauses(self) -> None:
        """Tell the listeners."""
        if not self.away:
            self._tell("pauses", None)

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Be told until cancelled."""
        await self._listen("wake", on_wake)

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Be told of stops until cancelled."""
        await self._listen("stop", on_stop)

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Be told of deletions until cancelled."""
        await self._listen("gone", on_gone)

    @property
    def hears_pauses(self) -> bool:
        """Whether anybody is told of pauses."""
        return bool(self._listeners["pauses"])

    async def listen_pauses(self, on_change: Callable[[], None]) -> None:
        """Be told of pauses until cancelled."""
        on_change()
        await self._listen("pauses", lambda _: on_change())

    @property
    def listening(self) -> bool:
        """Whether anybody is told of changes."""
        return bool(self._listeners["wake"])

    def _tell(self, topic: str, news: object) -> None:
        for hear in self._listeners[topic]:
            hear(news)

    async def _listen(self, topic: str, hear: Callable[[Any], None]) -> None:
        self._listeners[topic].append(hear)
        try:
            await asyncio.Event().wait()
        finally:
            self._listeners[topic].remove(hear)

    def _check(self) -> None:
        if self.away:
            raise self.away if isinstance(self.away, Exception) else ServerAway("redis")


class FakeMessagePublisher:
    """sluice.core.ports.Dispatcher in memory; `away` refuses every message, and clearing `open` holds them unconfirmed."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, message: Message) -> None:
        """Keep the message, then confirm it."""
        if self.away:
            raise ServerAway("rabbitmq")
        self.published.append(message)
        await self.open.wait()

    @property
    def ids(self) -> list[str]:
        """Every id that was published."""
        return [each for message in self.published for each in message.ids]


class FakeEventPublisher:
    """sluice.core.ports.EventPublisher in memory; `away` refuses every event, as if RabbitMQ were gone or with this error.

    Clearing `open` holds them unconfirmed.
    """

    def __init__(self) -> None:
        self.published: list[JobEvent] = []
        self.away: bool | Exception = False
        self.open = asyncio.Event()
        self.open.set()

    @property
    def connected(self) -> bool:
        """Whether publishing works."""
        return not self.away

    async def publish(self, event: JobEvent) -> None:
        """Keep the event, then confirm it."""
        if self.away:
            raise self.away if isinstance(self.away, Exception) else ServerAway("rabbitmq")
        self.published.append(event)
        await self.open.wait()
