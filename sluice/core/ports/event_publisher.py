"""The publishing of job events to other programs."""

from __future__ import annotations

from typing import Protocol

from sluice.core.job_event import JobEvent


class EventPublisher(Protocol):
    """Publishes job events to the exchange; whether anybody subscribes makes no difference."""

    @property
    def connected(self) -> bool:
        """Whether publishing works, as far as is known."""

    async def publish(self, event: JobEvent) -> None:
        """Return once RabbitMQ has confirmed the event. Raises ServerAway; the event may still arrive later."""
