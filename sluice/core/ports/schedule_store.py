"""Schedules in the record, for their owners and for the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sluice.core.schedule import DueSchedule, NewSchedule, Schedule


class ScheduleStore(Protocol):
    """Schedules in the record, for their owners and for the keeper."""

    async def clock(self) -> datetime:
        """What time it is where schedules are decided."""

    async def keep_schedule(self, new: NewSchedule, replace: bool) -> Schedule | None:
        """Keep a new one, or one in place of another; None where its name is taken. Raises OutcomeUnknown, too."""

    async def find_schedule(self, tenant: str, name: str) -> Schedule | None:
        """The schedule of this name."""

    async def list_schedules(self, tenant: str, behind: str, limit: int) -> list[Schedule]:
        """By name, beginning behind one, without their inputs."""

    async def pause_schedule(self, tenant: str, name: str) -> Schedule | None:
        """Fire no more of its ticks; None where there is none of this name."""

    async def resume_schedule(self, schedule_id: str, next_at: datetime) -> Schedule | None:
        """Fire its ticks again, where it was paused from this one on; None where it was deleted or replaced."""

    async def delete_schedule(self, tenant: str, name: str) -> bool:
        """Forget it; false where there was none."""

    async def due_schedules(self, limit: int) -> list[DueSchedule]:
        """Those whose tick has come, the longest due first."""

    async def fire_schedule(
        self, due: DueSchedule, next_at: datetime, jobs: Sequence[tuple[str, datetime]]
    ) -> bool:
        """Make these jobs, of id and tick, and set the next tick; false where somebody else did, or it has changed."""

    async def run_schedule(self, schedule_id: str, job_id: str) -> bool:
        """Make one job now; false where the schedule was deleted or replaced. Raises OutcomeUnknown, too."""
