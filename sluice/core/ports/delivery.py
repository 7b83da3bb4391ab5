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


OnDelivery = Callable[[Delivery], None]
