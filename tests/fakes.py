"""Stand-ins for the servers, for unit tests of flows; tests/contract holds the fakes and the real ones to the same behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from core.document import Document
from core.errors import ServerAway
from core.job import Message
from core.ports import Wake
from core.telemetry import Event


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
    """core.ports.DocumentCache in memory; `away` makes every call fail as if Redis were gone."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.announced: list[dict[str, int]] = []
        self.away = False
        self._listeners: list[Callable[[Mapping[str, Wake]], None]] = []

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Finished documents, in the order of the ids."""
        self._check()
        return [self.documents.get(each) for each in ids]

    async def announce(self, versions: Mapping[str, int], finished: Sequence[Document]) -> None:
        """Keep the first document of each id, and tell the listeners."""
        self._check()
        for document in finished:
            self.documents.setdefault(document.id, document)
        self.announced.append(dict(versions))
        last = {document.id for document in finished}
        wakes = {job_id: Wake(version, job_id in last) for job_id, version in versions.items()}
        for on_wake in self._listeners:
            on_wake(wakes)

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Be told until cancelled."""
        with self._listening(on_wake):
            await asyncio.Event().wait()

    @property
    def listening(self) -> bool:
        """Whether anybody is told."""
        return bool(self._listeners)

    @contextmanager
    def _listening(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> Iterator[None]:
        self._listeners.append(on_wake)
        try:
            yield
        finally:
            self._listeners.remove(on_wake)

    def _check(self) -> None:
        if self.away:
            raise ServerAway("redis")


class FakeDispatcher:
    """core.ports.Dispatcher in memory; `away` refuses every message, and clearing `open` holds them unconfirmed."""

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
