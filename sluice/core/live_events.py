"""Tell other programs of jobs as soon as their changes are committed. What cannot be told now is dropped, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from sluice.core.errors import TRANSIENT, Overloaded
from sluice.core.job import Job
from sluice.core.job_event import JobEvent, describe
from sluice.core.ports import EventPublisher
from sluice.core.runtime.batching import OVERHEAD, Batcher, Limits
from sluice.core.runtime.telemetry import Event, Telemetry

MOST_WAITING = 16 * 1024 * 1024
"""Bytes of events from which on others are dropped while RabbitMQ is slow."""
ROWS = 200
"""Events that wait for their confirmation together."""


class LiveEvents:
    """Publishes in the background, in the order in which it is told."""

    def __init__(self, publisher: EventPublisher, telemetry: Telemetry) -> None:
        self._publisher, self._telemetry = publisher, telemetry
        limits = Limits(rows=ROWS, waiting=100_000, waiting_size=MOST_WAITING)
        self._events: Batcher[JobEvent, None] = Batcher(
            "events", self._send, limits, _size, telemetry.count_batch
        )

    def jobs_changed(self, jobs: Iterable[Job]) -> None:
        """Tell of these jobs as they are now. Raises nothing, and waits for nothing."""
        for job in jobs:
            try:
                self._events.put(describe(job))
            except Overloaded:
                self._telemetry.emit(Event.EVENTS_DROPPED)
            except Exception as error:  # noqa: BLE001  what it tells of is done already
                self._report(error)

    async def drain(self) -> None:
        """Wait until all is told or dropped."""
        await self._events.drain()

    async def _send(self, events: Sequence[JobEvent]) -> list[None]:
        calls = [self._publisher.publish(each) for each in events]
        errors = [each for each in await asyncio.gather(*calls, return_exceptions=True) if each is not None]
        self._telemetry.emit(Event.EVENTS_PUBLISHED, len(events) - len(errors))
        for error in errors:
            self._report(error)
        return [None] * len(events)

    def _report(self, error: BaseException) -> None:
        self._telemetry.emit(Event.EVENTS_DROPPED)
        if not isinstance(error, TRANSIENT):
            self._telemetry.emit(Event.DUTY_FAILED, duty="events", why=repr(error))


def _size(event: JobEvent) -> int:
    return len(event.body) + OVERHEAD
