"""Tell other programs what jobs came to, at least once: endings stay in the record until RabbitMQ has confirmed their events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sluice.core.ending import Ending
from sluice.core.errors import TRANSIENT
from sluice.core.job_event import describe
from sluice.core.ports import EndingStore, EventPublisher
from sluice.core.runtime.telemetry import Event, Telemetry

LISTENER = "events"
TOLD_AT_ONCE = 500
TOLD_AGAIN = 20
"""How often at one turn: more can be told than jobs end."""


class TellEvents:
    """Publishes endings, the oldest first. Where that is begun for the first time, endings are kept from then on."""

    def __init__(self, endings: EndingStore, publisher: EventPublisher, telemetry: Telemetry) -> None:
        self._endings, self._publisher, self._telemetry = endings, publisher, telemetry

    async def once(self) -> int:
        """Tell what there is while RabbitMQ confirms it; returns how many that were."""
        await self._endings.listen(LISTENER)
        total = 0
        for _ in range(TOLD_AGAIN):
            told = await self._tell_some() if self._publisher.connected else 0
            total += told
            if told < TOLD_AT_ONCE:
                break
        return total

    async def _tell_some(self) -> int:
        """Tell some at once, and forget those that were confirmed. Raises the first error that nobody foresaw."""
        found = await self._endings.next_endings(LISTENER, TOLD_AT_ONCE)
        calls = [self._publisher.publish(describe(each.job)) for each in found]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        told = [each.number for each, error in zip(found, outcomes, strict=True) if error is None]
        if told:
            await self._endings.drop_endings(LISTENER, told)
            self._telemetry.emit(Event.EVENTS_PUBLISHED, len(told))
        for error in outcomes:
            if error is not None and not isinstance(error, TRANSIENT):
                raise error
        return len(told)


class ForgetEvents:
    """Forgets endings that were kept for events, in a fleet that does not tell them any more, and keeps no others."""

    def __init__(self, endings: EndingStore) -> None:
        self._endings = endings

    async def once(self) -> int:
        """Forget one turn's worth; returns how many that were."""
        total = 0
        for _ in range(TOLD_AGAIN):
            found: Sequence[Ending] = await self._endings.next_endings(LISTENER, TOLD_AT_ONCE)
            if len(found) < TOLD_AT_ONCE:
                await self._endings.stop_listening(LISTENER)
                return total + len(found)
            await self._endings.drop_endings(LISTENER, [each.number for each in found])
            total += len(found)
        return total
