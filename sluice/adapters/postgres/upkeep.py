"""The record as the keeper tidies and counts it: one method per statement."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import orjson

from sluice.adapters.postgres.pool import Database
from sluice.core.errors import Malformed
from sluice.core.job import Job
from sluice.core.lanes import PRIORITIES
from sluice.core.ports import IdempotencyKeyCursor, Pruned, PrunedKeys
from sluice.core.queue_stats import (
    LaneCount,
    LaneStatistics,
    Statistics,
    Works,
    read_lane,
    read_works,
    write_works,
)
from sluice.core.retention import Retention

WRITE_S = 5.0
"""Seconds for statements that no client waits for."""

PRUNE_LOCK, PRUNE_KEYS_LOCK, OVERDUE_LOCK, COUNT_LOCK = range(7_519_040, 7_519_044)


class Upkeep:
    """Implements sluice.core.ports.upkeep_store.UpkeepStore. `owner` is this process in the record."""

    def __init__(self, database: Database, owner: UUID) -> None:
        self._database, self._owner = database, owner

    async def prune_jobs(self, after: str, kept: Retention, limit: int) -> Pruned | None:
        """Look at this many jobs behind the id `after`, and delete those kept for long enough."""
        rows = await self._database.fetch(
            "prune_jobs", PRUNE_LOCK, after, list(kept.by_kind), list(kept.by_kind.values()), kept.otherwise_s,
            kept.shortest_s, limit, budget_s=WRITE_S,
        )  # fmt: skip
        return Pruned(tuple(rows[0]["gone"]), rows[0]["looked_at"], rows[0]["last"]) if rows else None

    async def prune_idempotency_keys(
        self, after: IdempotencyKeyCursor, keep_s: float, limit: int
    ) -> PrunedKeys | None:
        """Look at this many keys behind `after`; delete those whose jobs are gone."""
        rows = await self._database.fetch(
            "prune_idempotency_keys", PRUNE_KEYS_LOCK, *after, keep_s, limit, budget_s=WRITE_S
        )
        if not rows:
            return None
        gone, looked_at, *last = rows[0]
        return PrunedKeys(gone, looked_at, IdempotencyKeyCursor(*last) if looked_at else None)

    async def prune_consumers(self, silent_s: float) -> int:
        """Delete the notes of consumers that have not been seen for so many seconds."""
        return len(await self._database.fetch("prune_consumers", silent_s, budget_s=WRITE_S))

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed."""
        rows = await self._database.fetch("fail_overdue", OVERDUE_LOCK, limit, budget_s=WRITE_S)
        return [Job._make(row) for row in rows]

    async def report_work(self, works: Works) -> None:
        """Note what this consumer knows of its work."""
        await self._database.fetch(
            "upsert_run_stats", self._owner, write_works(works).decode(), budget_s=WRITE_S
        )

    async def list_work(self, silent_s: float) -> list[Works]:
        """What the consumers have noted that were seen within so many seconds; what another release wrote is left out."""
        found: list[Works] = []
        for row in await self._database.fetch("list_run_stats", silent_s, budget_s=WRITE_S):
            with suppress(Malformed):
                found.append(read_works(row[0]))
        return found

    async def count(self, lanes: Sequence[str], most: int, every_s: float) -> dict[str, LaneCount] | None:
        """Count these lanes; None where another keeper is at it or has just done so."""
        rows = await self._database.fetch(
            "count_lanes", COUNT_LOCK, lanes, PRIORITIES, most, every_s, budget_s=WRITE_S
        )
        return {lane: _count(*row) for lane, *row in rows} if rows else None

    async def keep_statistics(self, statistics: Statistics) -> None:
        """Keep what is known of each lane."""
        texts = [each.model_dump_json() for each in statistics.values()]
        await self._database.fetch("upsert_statistics", list(statistics), texts, budget_s=WRITE_S)

    async def latest_statistics(self, every_s: float) -> Statistics:
        """What was kept last, no longer than so many seconds ago; what another release wrote is left out."""
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
