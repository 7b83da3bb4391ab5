"""Schedules in the record, for their owners and for the keeper."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from sluice.core.access import OPERATOR, Actor
from sluice.core.schedule import DueSchedule, NewSchedule, Schedule, TickJob


class ScheduleStore(Protocol):
    """Schedules in the record, for their owners and for the keeper. What an owner changes is written down with it."""

    async def clock(self) -> datetime:
        """Return the time by which schedules fire."""

    async def keep_schedule(self, new: NewSchedule, replace: bool, by: Actor = OPERATOR) -> Schedule | None:
        """Store a new one, or one in place of another, of which it keeps a tick that is due; None if its name is taken.

        Also raises OutcomeUnknown.
        """

    async def find_schedule(self, tenant: str, name: str) -> Schedule | None:
        """Find the schedule of this name."""

    async def list_schedules(self, tenant: str, behind: str, limit: int) -> list[Schedule]:
        """List schedules by name, those after this one, without their inputs."""

    async def pause_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> Schedule | None:
        """Fire no more of its ticks; None if there is none of this name."""

    async def resume_schedule(
        self, schedule_id: str, next_at: datetime, by: Actor = OPERATOR
    ) -> Schedule | None:
        """Fire its ticks again, from this one on if it was paused; None if it was deleted or replaced."""

    async def delete_schedule(self, tenant: str, name: str, by: Actor = OPERATOR) -> bool:
        """Delete it; false if there was none."""

    async def due_schedules(self, limit: int, last: Collection[str] = ()) -> list[DueSchedule]:
        """List those whose tick has come, the longest due first, but those with these ids after all others."""

    async def fire_schedule(self, due: DueSchedule, next_at: datetime, jobs: Sequence[TickJob]) -> bool:
        """Make these jobs and set the next tick; false if another process did, or it has changed."""

    async def run_schedule(
        self, schedule_id: str, job_id: str, traceparent: str | None = None, by: Actor = OPERATOR
    ) -> bool:
        """Make one job now, in this trace, whatever its ticks; false if the schedule was deleted or replaced. Also raises OutcomeUnknown."""
