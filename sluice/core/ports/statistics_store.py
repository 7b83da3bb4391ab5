"""The record for statistics: what waits, and what consumers report of their work with their leases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.core.queue_stats import LaneCount, Works


class StatisticsStore(Protocol):
    """The record, as keepers count what waits in it."""

    async def list_work(self, silent_s: float) -> list[Works]:
        """List the reports of the consumers seen within so many seconds, but for those that another release wrote differently."""

    async def count(self, lanes: Sequence[str], most: int) -> dict[str, LaneCount]:
        """Count these lanes, up to `most` jobs of each priority."""
