"""The record for polling while RabbitMQ is away: jobs are claimed without a hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.rows import jobs_of
from sluice.core.job import Job
from sluice.core.lanes import WEIGHTS
from sluice.core.lifecycle import DEADLINE_PASSED


class PostgresPollingStore:
    """Implements sluice.core.ports.PollingStore. `owner` is this process in the record, `lease_s` how long a claim holds."""

    def __init__(self, database: Database, owner: UUID, lease_s: float) -> None:
        self._database, self._owner, self._lease_s = database, owner, lease_s

    async def pull(self, lane: str, limit: int, kinds: Sequence[str], turns: Mapping[str, int]) -> list[Job]:
        """Claim the oldest queued jobs of a lane, in turns by priority; the overdue come back failed."""
        weights = [WEIGHTS[priority] for priority in turns]
        prints = [DEADLINE_PASSED.fingerprint(kind) for kind in kinds]
        rows = await self._database.fetch(
            "poll", lane, limit, self._owner, kinds, self._lease_s, list(turns), weights, list(turns.values()),
            prints, budget_s=WRITE_S,
        )  # fmt: skip
        return jobs_of(rows)

    async def recover_lane_claims(self, lane: str) -> list[Job]:
        """Read the jobs of this lane that this process holds."""
        return jobs_of(await self._database.fetch("recover_lane_claims", lane, self._owner, budget_s=WRITE_S))
