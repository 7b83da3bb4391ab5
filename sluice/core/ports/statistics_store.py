"""The record for statistics: what waits, and what consumers report of their work with their leases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.core.queue_stats import LaneCount, Works


class StatisticsStore(Protocol):
    """The record, as keepers count what waits in it."""

    async def list_work(self, silent_s: float) -> list[Works]:
        """List the reports of the consumers seen within so many seconds, but for those that another release wrote differently."""

    async def count(
        self, lanes: Sequence[str], most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        """Count these lanes, up to `most` jobs of each priority, in equal parts by kind, but `at_least` so many of each of those.

        The bytes of inputs are estimated from `weighed` jobs of each.
        """
