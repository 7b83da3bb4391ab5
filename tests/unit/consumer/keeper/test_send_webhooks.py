"""What is on its way to webhooks while the record does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from consumer.keeper.webhooks import SendWebhooks
from sluice.core.errors import ServerAway
from sluice.core.peppers import Peppers
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.webhook import Answer, DueDelivery

DELIVERY = DueDelivery(
    "a-delivery", "an-endpoint", "https://hooks.example.com/", 1, False, "job.failed", b"{}", 1
)


class AwayInBetween:
    """A record that has one delivery, and is away when it is asked for more; and who receives that delivery, once it is."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = asyncio.Event()
        self.marked: list[Answer] = []

    async def give_up(self, limit: int) -> int:
        return 0

    async def take_due(self, limit: int, lease_s: float) -> list[DueDelivery]:
        self.asked += 1
        if self.asked == 1:
            return [DELIVERY]
        self.is_away.set()
        raise ServerAway("PostgreSQL", "between two servers")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        await self.is_away.wait()
        return Answer(200, "answered 200")

    async def mark(self, delivery: DueDelivery, answer: Answer, pause_s: float | None) -> None:
        self.marked.append(answer)


async def test_what_is_on_its_way_is_not_cut_off_while_the_record_does_not_answer() -> None:
    away: Any = AwayInBetween()
    with pytest.raises(ServerAway):
        await SendWebhooks(away, away, Peppers("a pepper"), Telemetry()).once()
    assert [each.status for each in away.marked] == [200]
