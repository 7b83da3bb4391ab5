"""The record as lists and bulk changes use it: a page at a time, at a bounded cost however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.postgres.pool import Database
from core.job import Job, Message
from core.listing import ErrorGroup, Filter, Found
from core.settings import Settings

EXAMINED = 5_000
"""Rows of each state that one page may cost."""
BUDGET_S = 2.0
"""Seconds for one page: rows of long ago may have to come from disk."""
_WIDTH = len(Job._fields)


class PostgresListing:
    """Implements core.ports.ListingStore."""

    def __init__(self, database: Database, settings: Settings, examined: int = EXAMINED) -> None:
        self._database, self._examined = database, examined
        self._due_s = settings.dispatch_due_s

    async def list_jobs(self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False) -> Found:  # fmt: skip
        """Jobs below this id that fit, newest first."""
        rows = await self._database.fetch(
            "list_jobs",
            tenant, wanted.states, min(below, wanted.highest_id), wanted.lowest_id,
            *wanted[1:], open_only, self._examined, limit + 1,
            budget_s=BUDGET_S,
        )  # fmt: skip
        return _page(rows, limit)

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        """The newest failures, grouped, the largest group first."""
        rows = await self._database.fetch("list_errors", tenant, lowest_id, limit, budget_s=BUDGET_S)
        return [ErrorGroup._make(row) for row in rows]

    async def cancel_jobs(self, tenant: str, ids: Sequence[str]) -> list[Job]:
        """Cancel those that have not begun, ask those that run to stop; the others are left out."""
        rows = await self._database.fetch("cancel", tenant, ids, budget_s=BUDGET_S)
        return [Job._make(row) for row in rows]

    async def retry_jobs(self, tenant: str, new_ids: Mapping[str, str]) -> list[Message]:
        """Insert a new job for each failed one that has none yet."""
        rows = await self._database.fetch(
            "retry", tenant, list(new_ids), list(new_ids.values()), self._due_s, budget_s=BUDGET_S
        )
        return [Message(row["outbox_id"], row["lane"], row["priority"], tuple(row["ids"])) for row in rows]


def _page(rows: Sequence[Any], limit: int) -> Found:
    """What fits, up to the first row below which some state was not examined."""
    jobs: list[Job] = []
    for row in rows:
        if row["fits"]:
            if len(jobs) == limit:
                return Found(jobs, jobs[-1].id)
            jobs.append(Job._make(row[:_WIDTH]))
        if row["bound"]:
            return Found(jobs, row["id"])
    return Found(jobs, None)
