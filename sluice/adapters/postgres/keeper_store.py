"""The record for the keeper's duties: one method per statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import orjson

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.store import Store, messages_of
from sluice.core.errors import Malformed, TryAgain
from sluice.core.job import Job, Message
from sluice.core.lifecycle import LOST_LIMIT
from sluice.core.owner import Owner
from sluice.core.ports import Look
from sluice.core.queue_stats import LaneCount, Works, read_works

RESCUE_S = 10.0
"""Seconds after which another keeper rescues the jobs of a dead consumer, if the one that began has died as well."""
SLOW_S = 300.0
"""Seconds for a statement whose usual time was not enough."""


class PostgresKeeperStore(Store):
    """Implements sluice.core.ports.KeeperStore, where its methods are described."""

    def __init__(self, database: Database, owner: Owner) -> None:
        super().__init__(database, WRITE_S + 1)  # first it is the server that gives up
        self._owner = owner

    async def ask(self, query: str, *args: Any, budget_s: float | None = None) -> list[Any]:
        """Fetch the rows of a statement. If it takes too long, it is tried once more with minutes to spare: while somebody's transaction
        stays open, what jobs have left in an index when they finished has to be passed each time, and no duty may end with that."""
        try:
            return await super().ask(query, *args, budget_s=budget_s)
        except TryAgain:
            return await self._database.fetch_slowly(query, *args, limit_s=SLOW_S)

    async def look(self, rates: Mapping[str, float], idempotency_keep_s: float) -> Look:
        rows = await self.ask("look", list(rates), list(rates.values()), idempotency_keep_s)
        return Look(*rows[0])

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        rows = await self.ask("take_due_messages", limit_ids)
        dropped = sum(len(row["ids"]) for row in rows if row["outbox_id"] is None)
        return list(messages_of(rows)), dropped

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        rows = await self.ask("drop_void_messages", after, limit)
        return int(rows[0]["last"]), int(rows[0]["dropped"])

    async def take_dead_leases(self) -> list[str]:
        return [lease for (lease,) in await self.ask("take_dead_leases", RESCUE_S, self._owner.id)]

    async def find_held_jobs(self, leases: Sequence[str], *, own: bool = False) -> list[str]:
        rows = await self.ask("find_held_jobs", leases, own)
        if (found := rows[0]["ids"]) is None:
            raise TryAgain("another looks through what runs")
        return list(found)

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> list[Job]:
        return await self.ask_jobs("rescue", ids, leases, LOST_LIMIT)

    async def drop_leases(self, leases: Sequence[str]) -> None:
        await self.ask("drop_leases", leases)

    async def fail_overdue(self, limit: int) -> list[Job]:
        return await self.ask_jobs("fail_overdue", limit)

    async def queue_due(self, limit: int) -> dict[str, int]:
        rows = await self.ask("queue_due", limit)
        return {row["id"]: row["version"] for row in rows}

    async def offer_lost(self, newest: Mapping[tuple[str, str], datetime | None], limit: int) -> int:
        lanes, priorities = [lane for lane, _ in newest], [priority for _, priority in newest]
        rows = await self.ask("offer_lost", lanes, priorities, list(newest.values()), limit)
        return int(rows[0][0])

    async def offer_ids(self, ids: Sequence[str]) -> int:
        return int((await self.ask("offer_ids", ids))[0][0])

    async def prune_jobs(self, limit: int) -> list[str]:
        return [job_id for (job_id,) in await self.ask("prune_jobs", limit)]

    async def prune_batches(self, limit: int) -> int:
        return int((await self.ask("prune_batches", limit))[0][0])

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        return len(await self.ask("prune_idempotency_keys", keep_s, limit))

    async def prune_audit(self, keep_s: float, limit: int) -> int:
        return len(await self.ask("prune_audit", keep_s, limit))

    async def list_work(self, silent_s: float) -> list[Works]:
        found: list[Works] = []
        for (report,) in await self.ask("list_run_stats", silent_s):
            with suppress(Malformed):
                found.append(read_works(report))
        return found

    async def count(
        self, lanes: Sequence[str], most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        rows = [dict(row) for row in await self.ask("count_lanes", lanes, most, at_least, weighed)]
        for row in rows:
            row |= {name: orjson.loads(row[name] or "null") for name in ("tenants", "paused")}
        return {row.pop("lane"): LaneCount(**row) for row in rows}
