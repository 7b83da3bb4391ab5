"""sluice.core.ports.ScheduleStore in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sluice.core.access import OPERATOR, Actor
from sluice.core.schedule import DueSchedule, NewSchedule, Schedule, TickJob
from tests.support.make_jobs import AT


class FakeScheduleStore:
    """Schedules by tenant and name; `fired` are the ids of the jobs they made. `now` is its clock."""

    def __init__(self) -> None:
        self.schedules: dict[tuple[str, str], Schedule] = {}
        self.fired: list[str] = []
        self.now = AT

    async def clock(self) -> datetime:
        """What time it is."""
        return self.now

    async def keep_schedule(self, new: NewSchedule, replace: bool, by: Actor = OPERATOR) -> Schedule | None:
        """A new one, or one in place of another, which stays paused and keeps a tick that is due where its times are the same."""
        old = self.schedules.get((new.tenant, new.name))
        if old and not replace:
            return None
        fresh = Schedule(*new[:9], False, new.next_at, None, None, self.now)
        if old:
            same = (old.cron, old.timezone) == (new.cron, new.timezone)
            same &= min(old.next_at, new.next_at) <= self.now
            rest = {name: getattr(old, name) for name in ("paused", "last_at", "last_job_id", "created_at")}
            fresh = fresh._replace(next_at=old.next_at if same else new.next_at, **rest)
        return self._put(fresh)

    async def find_schedule(self, tenant: str, name: str) -> Schedule | None:
        """By its name."""
        return self.schedules.get((tenant, name))

    async def list_schedules(self, tenant: str, behind: str, limit: int) -> list[Schedule]:
        """By name, without their inputs."""
        mine = [each for each in self.schedules.values() if each.tenant == tenant and each.name > behind]
        return [each._replace(input=None) for each in sorted(mine, key=lambda each: each.name)[:limit]]

    async def pause_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> Schedule | None:
        """Fire no more of its ticks."""
        found = self.schedules.get((tenant, name))
        return found and self._put(found._replace(paused=True))

    async def resume_schedule(
        self, schedule_id: str, next_at: datetime, by: Actor = OPERATOR
    ) -> Schedule | None:
        """Fire its ticks again."""
        found = self._by_id(schedule_id)
        if found is None or not found.paused:
            return found
        return self._put(found._replace(paused=False, next_at=next_at))

    async def delete_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> bool:
        """Forget it."""
        return self.schedules.pop((tenant, name), None) is not None

    async def due_schedules(self, limit: int, last: Collection[str] = ()) -> list[DueSchedule]:
        """The longest due first, and then those."""
        due = [each for each in self.schedules.values() if not each.paused and each.next_at <= self.now]
        return [
            DueSchedule(each.id, each.name, each.cron, each.timezone, each.catch_up, each.next_at, self.now)
            for each in sorted(due, key=lambda each: (each.id in last, each.next_at))[:limit]
        ]

    async def fire_schedule(self, due: DueSchedule, next_at: datetime, jobs: Sequence[TickJob]) -> bool:
        """Unless somebody else did, or it has changed."""
        found = self._by_id(due.id)
        if found is None or found.paused or found.next_at != due.due:
            return False
        changes: dict[str, Any] = {"last_job_id": jobs[-1].id, "last_at": jobs[-1].tick} if jobs else {}
        self._put(found._replace(next_at=next_at, **changes))
        self.fired += [job.id for job in jobs]
        return True

    async def run_schedule(
        self, schedule_id: str, job_id: str, traceparent: str | None = None, by: Actor = OPERATOR
    ) -> bool:
        """Whatever its ticks."""
        found = self._by_id(schedule_id)
        if found is None:
            return False
        self._put(found._replace(last_job_id=job_id))
        self.fired.append(job_id)
        return True

    def _by_id(self, schedule_id: str) -> Schedule | None:
        return next((each for each in self.schedules.values() if each.id == schedule_id), None)

    def _put(self, schedule: Schedule) -> Schedule:
        self.schedules[schedule.tenant, schedule.name] = schedule
        return schedule
