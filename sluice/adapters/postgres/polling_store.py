"""The record for polling while RabbitMQ is away: jobs are claimed without a hint."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.rows import jobs_of
from sluice.core.job import Job
from sluice.core.lanes import PRIORITIES, WEIGHTS
from sluice.core.owner import Owner, claim_holds_s

MOST_RUNNING = 20_000
"""Jobs of one queue that run at the same time, at the very most."""


class PostgresPollingStore:
    """Implements sluice.core.ports.PollingStore. `lease_s` is how long a lease holds that is not renewed."""

    def __init__(self, database: Database, owner: Owner, lease_s: float) -> None:
        self._database, self._owner, self._hold_s = database, owner, claim_holds_s(lease_s)

    async def pull(
        self, lane: str, limit: int, kinds: Mapping[str, int], turns: Mapping[str, int]
    ) -> list[Job]:
        """Claim the oldest queued jobs of a lane, in turns by priority; the overdue come back failed."""
        weights = [WEIGHTS[priority] for priority in turns]
        lease = self._owner.id
        rows = await self._database.fetch(
            "poll", lane, lease, list(kinds), self._hold_s, list(kinds.values()), limit,
            list(turns), weights, list(turns.values()),
            budget_s=WRITE_S,
        )  # fmt: skip
        self._owner.require(lease)
        return jobs_of(rows)

    async def recover_lane_claims(self, lane: str, kinds: Mapping[str, int]) -> list[Job]:
        """Read the jobs of this lane that this process holds."""
        rows = await self._database.fetch(
            "recover_lane_claims", lane, self._owner.id, list(kinds), PRIORITIES, list(kinds.values()), MOST_RUNNING,
            budget_s=WRITE_S,
        )  # fmt: skip
        return jobs_of(rows)
