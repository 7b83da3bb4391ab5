"""What is old goes in bounded statements, and not all of it at one turn."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.keeper import bulk_acts, webhooks
from consumer.keeper.bulk_acts import CarryOnBulkActs
from consumer.keeper.prune_again import PRUNED, PRUNED_AGAIN
from consumer.keeper.webhooks import SendWebhooks
from sluice.core.peppers import Peppers
from sluice.core.runtime.telemetry import Telemetry


class Store:
    """Acts and deliveries that are old, and how many were to be deleted each time."""

    def __init__(self, old: int) -> None:
        self.old = old
        self.asked: list[tuple[float, ...]] = []

    async def prune_acts(self, limit: int) -> int:
        """So many of them."""
        return self._prune(limit)

    async def prune_deliveries(self, keep_s: float, limit: int) -> int:
        """So many of them."""
        return self._prune(limit, keep_s)

    def _prune(self, limit: int, *more: float) -> int:
        self.asked.append((limit, *more))
        gone = min(self.old, limit)
        self.old -= gone
        return gone


@pytest.mark.parametrize(("old", "turns"), [(0, 1), (250, 2), (10_000, PRUNED_AGAIN)])
async def test_old_bulk_acts_are_deleted_until_few_are_left(old: int, turns: int) -> None:
    store: Any = Store(old)
    duty = CarryOnBulkActs(store, store, store, Telemetry(), "keeper", store)
    assert await duty.prune() == min(old, turns * bulk_acts.PRUNED)
    assert store.asked == [(bulk_acts.PRUNED,)] * turns


@pytest.mark.parametrize(("old", "turns"), [(0, 1), (PRUNED + 50, 2), (100_000, PRUNED_AGAIN)])
async def test_old_deliveries_are_deleted_until_few_are_left(old: int, turns: int) -> None:
    store: Any = Store(old)
    duty = SendWebhooks(store, store, Peppers("a pepper for tests"), Telemetry())
    assert await duty.prune() == min(old, turns * PRUNED)
    assert store.asked == [(PRUNED, webhooks.KEEP_S)] * turns
