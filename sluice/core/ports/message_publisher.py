"""The publishing of job ids to RabbitMQ."""

from __future__ import annotations

from typing import Protocol

from sluice.core.job import Message


class MessagePublisher(Protocol):
    """Publishes job ids to RabbitMQ."""

    async def publish(self, message: Message) -> None:
        """Return once RabbitMQ has confirmed the message. Raises ServerAway; the message may still arrive later."""
