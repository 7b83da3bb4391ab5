"""The record for statistics: consumers report their work to it and count what waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.core.queue_stats import LaneCount, Statistics, Works


class StatisticsStore(Protocol):
    """The record, as consumers report their work to it and count what waits."""

    async def upsert_consumer(self, host: str, pid: int, lanes: Sequence[str]) -> None:
        """Record, for people to look at, that this consumer is here."""

    async def report_work(self, works: Works) -> None:
        """Record what this consumer knows of its work, once it is known to be here."""

    async def list_work(self, silent_s: float) -> list[Works]:
        """List the reports of the consumers seen within so many seconds."""

    async def count(self, lanes: Sequence[str], most: int, every_s: float) -> dict[str, LaneCount] | None:
        """Count these lanes, up to `most` queued jobs of each; None if that was done within `every_s` seconds."""

    async def keep_statistics(self, statistics: Statistics) -> None:
        """Store what is known of each lane."""

    async def latest_statistics(self, every_s: float) -> Statistics:
        """Read what was stored within so many seconds."""
