"""What a job waits for, from the record."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from sluice.adapters.postgres.store import Store
from sluice.core.explanation import MOST_AHEAD, Situation, Try
from sluice.core.job import Job
from sluice.core.queue_stats import LanePause

MOST_TRIES = 50
"""Attempts that are told of a job, the newest."""
JOB_COLUMNS = len(Job._fields) - 1


class PostgresSituationStore(Store):
    """Implements sluice.core.ports.SituationStore, where its methods are described."""

    async def find_situation(self, tenant: str, job_id: str) -> Situation | None:
        rows = await self.ask("find_situation", tenant, job_id, MOST_AHEAD, MOST_TRIES)
        if not rows:
            return None
        row = rows[0]
        pause = LanePause(since=row["since"], reason=row["reason"], by=row["by"]) if row["since"] else None
        return Situation(
            Job(*row[:JOB_COLUMNS]),
            row["handler_version"],
            pause,
            row["lane_served"],
            row["served"],
            row["ahead"],
            [_read_try(*each) for each in orjson.loads(row["tries"])],
        )


def _read_try(attempt: int, outcome: str, started_at: str | None, finished_at: str) -> Try:
    return Try(attempt, outcome, _read_time(started_at) if started_at else None, _read_time(finished_at))


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
