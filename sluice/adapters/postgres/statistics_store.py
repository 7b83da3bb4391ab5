"""The record for statistics: consumers report to it and count in it, one method per statement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import orjson

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.core.errors import Malformed
from sluice.core.lanes import PRIORITIES
from sluice.core.queue_stats import (
    LaneCount,
    Works,
    read_works,
)


class PostgresStatisticsStore:
    """Implements sluice.core.ports.StatisticsStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_work(self, silent_s: float) -> list[Works]:
        """List the reports of consumers seen within so many seconds, leaving out what another release wrote differently."""
        found: list[Works] = []
        for row in await self._database.fetch("list_run_stats", silent_s, budget_s=WRITE_S):
            with suppress(Malformed):
                found.append(read_works(row[0]))
        return found

    async def count(self, lanes: Sequence[str], most: int) -> dict[str, LaneCount]:
        """Count these lanes, up to `most` jobs of each priority."""
        rows = await self._database.fetch("count_lanes", lanes, PRIORITIES, most, budget_s=WRITE_S)
        return {lane: _count(*row) for lane, *row in rows}


def _count(queued: int, running: int, queued_s: float, undispatched_s: float, tenants: str) -> LaneCount:
    return LaneCount(
        queued=queued,
        running=running,
        oldest_queued_s=queued_s,
        oldest_undispatched_s=undispatched_s,
        tenants=orjson.loads(tenants),
    )
