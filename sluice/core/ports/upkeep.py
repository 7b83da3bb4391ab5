"""The record, as the keeper uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.job import Job, Message
from sluice.core.schedule import DueSchedule, NewSchedule, Schedule


class KeeperStore(Protocol):
    """The record, as the keeper uses it. Each call is one tick's work under an advisory try-lock."""

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id, with result and error."""

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Outbox rows whose time has come, put off by 30 s; and how many were dropped as they name no queued job."""

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; the last id looked at (0: the end), ids dropped."""

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel jobs whose lease ran out; returns them as they are now."""

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come; returns id → version."""

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Offer queued jobs again that are older by this much than the newest claim of their (lane, priority)."""

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Offer queued jobs of these (lane, priority) again, which were queued at least this long ago."""

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""


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


class Finding(NamedTuple):
    """What a check of an invariant found: how many offend against it, and a few of them."""

    check: str
    offenders: int
    samples: tuple[str, ...] = ()


class Verifier(Protocol):
    """The record, as whoever verifies it uses it. Nothing is written."""

    async def verify(self, newest: int) -> list[Finding] | None:
        """What every check finds, of finished jobs among the newest; None while another process looks."""
