"""The record as consumers use it while RabbitMQ is away: jobs are claimed without a hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sluice.adapters.postgres.pool import Database
from sluice.core.job import Job
from sluice.core.lanes import WEIGHTS

PULL_S = 5.0
"""Seconds for a pull, which no client waits for."""


class Pulls:
    """Implements sluice.core.ports.PullStore. `owner` is this process in the record, `lease_s` how long a claim holds."""

    def __init__(self, database: Database, owner: UUID, lease_s: float) -> None:
        self._database, self._owner, self._lease_s = database, owner, lease_s

    async def pull(self, lane: str, limit: int, kinds: Sequence[str], turns: Mapping[str, int]) -> list[Job]:
        """Claim the oldest queued jobs of a lane, in turns by priority; the overdue come back failed."""
        weights = [WEIGHTS[priority] for priority in turns]
        rows = await self._database.fetch(
            "poll", lane, limit, self._owner, kinds, self._lease_s, list(turns), weights, list(turns.values()),
            budget_s=PULL_S,
        )  # fmt: skip
        return [Job._make(row) for row in rows]

    async def recover_lane_claims(self, lane: str) -> list[Job]:
        """Jobs of this lane that this process holds."""
        rows = await self._database.fetch("recover_lane_claims", lane, self._owner, budget_s=PULL_S)
        return [Job._make(row) for row in rows]
