"""The record for statistics: consumers report to it and count in it, one method per statement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import orjson

from sluice import __version__
from sluice.adapters.postgres.locks import Lock
from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.core.errors import Malformed
from sluice.core.lanes import PRIORITIES
from sluice.core.queue_stats import (
    LaneCount,
    LaneStatistics,
    Statistics,
    Works,
    read_lane,
    read_works,
    write_works,
)


class PostgresStatisticsStore:
    """Implements sluice.core.ports.StatisticsStore. `owner` is this process in the record."""

    def __init__(self, database: Database, owner: UUID) -> None:
        self._database, self._owner = database, owner

    async def upsert_consumer(self, host: str, pid: int, lanes: Sequence[str]) -> None:
        """Record, for people to look at, that this consumer is here."""
        await self._database.fetch(
            "upsert_consumer", self._owner, host, pid, __version__, list(lanes), budget_s=WRITE_S
        )

    async def report_work(self, works: Works) -> None:
        """Record what this consumer knows of its work."""
        await self._database.fetch(
            "upsert_run_stats", self._owner, write_works(works).decode(), budget_s=WRITE_S
        )

    async def list_work(self, silent_s: float) -> list[Works]:
        """List the reports of consumers seen within so many seconds, leaving out what another release wrote differently."""
        found: list[Works] = []
        for row in await self._database.fetch("list_run_stats", silent_s, budget_s=WRITE_S):
            with suppress(Malformed):
                found.append(read_works(row[0]))
        return found

    async def count(self, lanes: Sequence[str], most: int, every_s: float) -> dict[str, LaneCount] | None:
        """Count these lanes; None if another keeper is counting or has just done so."""
        rows = await self._database.fetch(
            "count_lanes", Lock.COUNT, lanes, PRIORITIES, most, every_s, budget_s=WRITE_S
        )
        return {lane: _count(*row) for lane, *row in rows} if rows else None

    async def keep_statistics(self, statistics: Statistics) -> None:
        """Store what is known of each lane."""
        texts = [each.model_dump_json() for each in statistics.values()]
        await self._database.fetch("upsert_statistics", list(statistics), texts, budget_s=WRITE_S)

    async def latest_statistics(self, every_s: float) -> Statistics:
        """Read what was stored within so many seconds, leaving out what another release wrote differently."""
        found: dict[str, LaneStatistics] = {}
        for name, text in await self._database.fetch("latest_statistics", every_s, budget_s=WRITE_S):
            with suppress(Malformed):
                found[name] = read_lane(text)
        return found


def _count(queued: int, running: int, queued_s: float, undispatched_s: float, tenants: str) -> LaneCount:
    return LaneCount(
        queued=queued,
        running=running,
        oldest_queued_s=queued_s,
        oldest_undispatched_s=undispatched_s,
        tenants=orjson.loads(tenants),
    )
