"""Messages received from RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Delivery(Protocol):
    """A message in hand."""

    @property
    def body(self) -> bytes:
        """The envelope."""

    @property
    def priority(self) -> str:
        """Which of the lane's queues it came from."""

    def acknowledge(self) -> None:
        """Forget the message: all its ids are claimed or accounted for. Never blocks, never raises."""

    def hand_back(self) -> None:
        """Put the message back into its queue, for any consumer. Never blocks, never raises."""


class DeliverySource(Protocol):
    """The queues of a lane. RabbitMQ pushes their messages, or, while they are paused, they are fetched one by one.

    Nothing here raises: what fails is a connection that is lost, and is restored elsewhere.
    """

    async def pause(self) -> None:
        """Have messages kept in their queues until they are fetched. Those in hand stay there."""

    async def resume(self) -> None:
        """Have messages pushed again."""

    async def fetch(self, priority: str) -> bool:
        """Have one message of this priority delivered before this returns; false if there is none."""

    def has_stale(self) -> bool:
        """Tell whether a message that was in hand at the last call still is."""


OnDelivery = Callable[[Delivery], None]
