"""Deliveries as RabbitMQ brings them."""

from __future__ import annotations

from uuid import UUID

from sluice.core.envelope import encode


class FakeDelivery:
    """A delivery that counts what it was told."""

    def __init__(self, ids: list[str], priority: str = "normal", body: bytes | None = None) -> None:
        self.body = encode(ids) if body is None else body
        self.priority = priority
        self.acknowledged = 0
        self.handed_back = 0

    def acknowledge(self) -> None:
        self.acknowledged += 1

    def hand_back(self) -> None:
        self.handed_back += 1


def job_ids(count: int, start: int = 0) -> list[str]:
    """So many ids."""
    return [str(UUID(int=start + number)) for number in range(count)]
