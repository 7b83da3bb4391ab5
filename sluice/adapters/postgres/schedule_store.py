"""Schedules in the record: managed for their owners, fired by keepers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sluice.adapters.postgres.job_store import SHORT_INPUT
from sluice.adapters.postgres.pool import WRITE_S
from sluice.adapters.postgres.store import Store
from sluice.core.access import OPERATOR, Actor
from sluice.core.schedule import DueSchedule, NewSchedule, Schedule, TickJob


class PostgresScheduleStore(Store):
    """Implements sluice.core.ports.ScheduleStore, where its methods are described."""

    async def keep_schedule(self, new: NewSchedule, replace: bool, by: Actor = OPERATOR) -> Schedule | None:
        rows = await self._database.commit("upsert_schedule", *new, replace, *by, budget_s=self._budget_s)
        return Schedule._make(rows[0]) if rows else None

    async def find_schedule(self, tenant: str, name: str) -> Schedule | None:
        return await self._find("find_schedule", tenant, name)

    async def list_schedules(self, tenant: str, behind: str, limit: int) -> list[Schedule]:
        rows = await self.ask("list_schedules", tenant, behind, limit)
        return [Schedule._make(row) for row in rows]

    async def pause_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> Schedule | None:
        return await self._find("pause_schedule", tenant, name, *by)

    async def resume_schedule(
        self, schedule_id: str, next_at: datetime, by: Actor = OPERATOR
    ) -> Schedule | None:
        return await self._find("resume_schedule", schedule_id, next_at, *by)

    async def delete_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> bool:
        return bool(await self.ask("delete_schedule", tenant, name, *by))

    async def due_schedules(self, limit: int, last: Collection[str] = ()) -> list[DueSchedule]:
        return [DueSchedule._make(row) for row in await self.ask("due_schedules", limit, list(last))]

    async def fire_schedule(self, due: DueSchedule, next_at: datetime, jobs: Sequence[TickJob]) -> bool:
        ids, ticks = [job.id for job in jobs], [job.tick for job in jobs]
        traces = [job.traceparent for job in jobs]
        values = (due.id, due.due, next_at, ids, ticks, SHORT_INPUT, traces, *OPERATOR)
        return bool((await self.ask("fire_schedule", *values, budget_s=WRITE_S))[0][0])

    async def run_schedule(
        self, schedule_id: str, job_id: str, traceparent: str | None = None, by: Actor = OPERATOR
    ) -> bool:
        values = (schedule_id, None, None, [job_id], [None], SHORT_INPUT, [traceparent], *by)
        rows = await self._database.commit("fire_schedule", *values, budget_s=self._budget_s)
        return bool(rows[0][0])

    async def _find(self, query: str, *args: Any) -> Schedule | None:
        rows = await self.ask(query, *args)
        return Schedule._make(rows[0]) if rows else None
