"""The record for lists and bulk changes: a page at a time, at a bounded cost however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import COPIED_AT_ONCE, Store, Turns, messages_of
from sluice.core.access import NOTHING, OPERATOR, Actor, Note
from sluice.core.job import Job, JobState, Message
from sluice.core.listing import ErrorGroup, ErrorMark, Filter, Found
from sluice.core.runtime.settings import Settings

EXAMINED = 2_000
"""Rows of each state that one page may cost."""
OPEN = frozenset({JobState.SCHEDULED, JobState.QUEUED, JobState.RUNNING})
"""States that share an index."""
BUDGET_S = 2.0
"""Seconds for one statement: rows of long ago may have to come from disk."""


class PostgresListingStore(Store):
    """Implements sluice.core.ports.ListingStore, where its methods are described."""

    def __init__(self, database: Database, settings: Settings, examined: int = EXAMINED) -> None:
        super().__init__(database, BUDGET_S)
        self._examined, self._due_s = examined, settings.dispatch_due_s
        self._turns = Turns()

    async def list_jobs(self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False) -> Found:  # fmt: skip
        bounds = min(below, wanted.highest_id), wanted.lowest_id
        examined = min(self._examined, limit + 1) if _takes_all(wanted, open_only) else self._examined
        rows = await self.ask(
            "list_jobs", tenant, wanted.states, *bounds, *wanted[1:], open_only, examined, limit + 1
        )
        return _page(rows, limit)

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        rows = await self.ask("list_errors", tenant, lowest_id, limit)
        return [ErrorGroup._make(row) for row in rows]

    async def mark_error(
        self, tenant: str, fingerprint: str, mark: ErrorMark | None, by: Actor = OPERATOR
    ) -> None:
        if mark:
            await self.ask("mark_error", tenant, fingerprint, mark, *by)
        else:
            await self.ask("unmark_error", tenant, fingerprint, *by)

    async def cancel_jobs(self, tenant: str, ids: Sequence[str], note: Note = NOTHING) -> list[Job]:
        return await self.ask_jobs("cancel_jobs", tenant, ids, *note)

    async def retry_jobs(
        self, tenant: str, new_ids: Mapping[str, str], note: Note = NOTHING
    ) -> list[Message]:
        messages: list[Message] = []
        while new_ids:
            pairs = list(new_ids), list(new_ids.values())
            rows = await self.ask("retry_jobs", tenant, *pairs, self._due_s, COPIED_AT_ONCE, *note)
            messages += messages_of(rows)
            left = [each for row in rows if row["outbox_id"] is None for each in row["ids"]]
            new_ids = {each: new_ids[each] for each in left}
        return messages

    async def ask(self, query: str, *args: Any, budget_s: float | None = None) -> list[Any]:
        """Fetch the rows of a statement, few of which may run at once. Raises Overloaded, ServerAway, TryAgain."""
        async with self._turns:
            return await super().ask(query, *args, budget_s=budget_s)


def _takes_all(wanted: Filter, open_only: bool) -> bool:
    """Tell whether every row of each group that is looked at fits: then none is examined beyond the page."""
    of_open = OPEN.intersection(wanted.states)
    return not (any(wanted[1:]) or open_only) and of_open in (frozenset(), OPEN)


def _page(rows: Sequence[Any], limit: int) -> Found:
    """Make a page of what fits, up to the first row below which some state was not examined."""
    jobs: list[Job] = []
    for row in rows:
        if row["fits"]:
            if len(jobs) == limit:
                return Found(jobs, jobs[-1].id)
            jobs.append(Job(*row[:-2]))
        if row["bound"]:
            return Found(jobs, row["id"])
    return Found(jobs, None)
