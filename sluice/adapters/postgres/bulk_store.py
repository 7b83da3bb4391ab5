"""The record for bulk acts: what is changed and how far the act is come with one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.adapters.postgres.listing_store import BUDGET_S, EXAMINED
from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.store import COPIED_AT_ONCE, Store, messages_of
from sluice.core.access import Actor
from sluice.core.bulk import MOST_UNFINISHED, BulkAct, NewBulkAct, read_filter, write_filter
from sluice.core.job import IdempotencyKeyUse, Job, Message
from sluice.core.ports.bulk_store import Matching
from sluice.core.runtime.settings import Settings

TAKEN_S = 10.0
"""Seconds after which another keeper carries on the acts of one that has died."""
STEP_S = WRITE_S + 1
"""Seconds for a step: first it is the server that gives up."""


class PostgresBulkStore(Store):
    """Implements sluice.core.ports.BulkStore and BulkStepStore, where their methods are described."""

    def __init__(self, database: Database, settings: Settings, examined: int = EXAMINED) -> None:
        super().__init__(database, settings.accept_budget_s)
        self._due_s, self._read_s, self._examined = (
            settings.dispatch_due_s,
            settings.record_budget_s,
            examined,
        )

    async def open_act(self, new: NewBulkAct, by: Actor) -> BulkAct | None:
        values = (*new[:3], write_filter(new.wanted), *new[4:], MOST_UNFINISHED, *by)
        return _first(await self._database.commit("open_act", *values, budget_s=self._budget_s))

    async def find_act_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        rows = await self.ask("find_act_by_key", tenant, key)
        return IdempotencyKeyUse(rows[0][1], rows[0][0]) if rows else None

    async def find_act(self, tenant: str, act_id: str) -> BulkAct | None:
        return _first(await self.ask("find_act", tenant, act_id, budget_s=self._read_s))

    async def list_acts(self, tenant: str, below: str, limit: int) -> list[BulkAct]:
        return [_act(row) for row in await self.ask("list_acts", tenant, below, limit, budget_s=BUDGET_S)]

    async def go(self, tenant: str, act_id: str, version: int | None, by: Actor) -> BulkAct | None:
        return _first(
            await self._database.commit("go", tenant, act_id, version, *by, budget_s=self._budget_s)
        )

    async def abort(self, tenant: str, act_id: str, by: Actor) -> BulkAct | None:
        return _first(await self._database.commit("abort", tenant, act_id, *by, budget_s=self._budget_s))

    async def take_due_acts(self, keeper: str, limit: int) -> list[BulkAct]:
        return [_act(row) for row in await self.ask("take_due_acts", keeper, limit, TAKEN_S)]

    async def find_matching(self, act: BulkAct, limit: int) -> Matching:
        if act.below is None:
            return Matching([], None)
        wanted = act.there_before
        bounds = min(act.below, wanted.highest_id), wanted.lowest_id
        rest = *wanted[1:], act.act != "delete", self._examined, limit + 1
        rows = await self.ask("find_matching", act.tenant, wanted.states, *bounds, *rest, budget_s=STEP_S)
        return _up_to_bound(rows, limit)

    async def count_on(self, act: BulkAct, found: Matching) -> None:
        await self.ask("count_on", act.id, act.version, found.below, len(found.ids), budget_s=STEP_S)

    async def cancel_batch(self, act: BulkAct, found: Matching) -> list[Job]:
        return await self.ask_jobs("bulk_cancel", *_step(act, found), budget_s=STEP_S)

    async def retry_batch(
        self, act: BulkAct, found: Matching, new_ids: Mapping[str, str]
    ) -> Sequence[Message]:
        pairs, place = (list(new_ids), list(new_ids.values())), (act.id, act.version, found.below)
        rows = await self.ask(
            "bulk_retry", act.tenant, *pairs, self._due_s, COPIED_AT_ONCE, *place, budget_s=STEP_S
        )
        return messages_of(rows)

    async def delete_batch(self, act: BulkAct, found: Matching) -> list[str]:
        return [job_id for (job_id,) in await self.ask("bulk_delete", *_step(act, found), budget_s=STEP_S)]

    async def judge_act(self, act: BulkAct) -> str | None:
        rows = await self.ask("judge_act", act.id, act.version, budget_s=STEP_S)
        return str(rows[0][0]) if rows else None

    async def put_off_act(self, act_id: str, seconds: float, reason: str | None = None) -> None:
        await self.ask("put_off_act", act_id, seconds, reason)

    async def list_lanes(self, ids: Sequence[str]) -> list[str]:
        return [lane for (lane,) in await self.ask("list_lanes", ids)]

    async def prune_acts(self, limit: int) -> int:
        return len(await self.ask("prune_acts", limit))


def _step(act: BulkAct, found: Matching) -> tuple[Any, ...]:
    return act.tenant, found.ids, act.id, act.version, found.below


def _act(row: Any) -> BulkAct:
    act: BulkAct = BulkAct._make(row)
    return act._replace(wanted=read_filter(row[3]))


def _first(rows: Sequence[Any]) -> BulkAct | None:
    return _act(rows[0]) if rows else None


def _up_to_bound(rows: Sequence[Any], limit: int) -> Matching:
    """Take what fits, up to the first row below which some state was not examined."""
    ids: list[str] = []
    for job_id, fits, bound in rows:
        if fits:
            if len(ids) == limit:
                return Matching(ids, ids[-1])
            ids.append(job_id)
        if bound:
            return Matching(ids, job_id)
    return Matching(ids, None)
