"""Fire schedules: create the jobs of those whose tick has come."""

from __future__ import annotations

from time import time_ns

from sluice.core.errors import TRANSIENT, BadRow, Invalid
from sluice.core.ports import ScheduleStore
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import Span, SpanContext
from sluice.core.schedule import DueSchedule, TickJob, plan

SCHEDULES_PER_TICK = 500
MOST_PUT_BACK = 50_000
"""Schedules that are known to have failed: beyond that, each has its turn as if it had not."""


class FireSchedules:
    """Fires by the clock of the database. All keepers may try at once: the statement lets only one of them fire a tick."""

    def __init__(self, store: ScheduleStore, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry
        self._put_back: set[str] = set()

    async def once(self) -> int:
        """Fire what is due, what could not be fired last time after all others; returns how many jobs that made."""
        if len(self._put_back) > MOST_PUT_BACK:
            self._put_back.clear()
        found = await self._store.due_schedules(SCHEDULES_PER_TICK, self._put_back)
        return sum([await self._fire(each) for each in found])

    async def _fire(self, found: DueSchedule) -> int:
        """Fire one. If that fails it holds up no other: it stays due, and is reported until it is fixed.

        What may be the server's fault ends the turn, and is reported once it comes again.
        """
        try:
            made = await self._plan_and_fire(found)
        except (Invalid, BadRow, *TRANSIENT) as error:
            passing = isinstance(error, TRANSIENT)
            if found.id in self._put_back or not passing:
                name = type(self).__name__
                self._telemetry.emit(Event.DUTY_FAILED, duty=name, schedule=found.name, why=str(error))
            self._put_back.add(found.id)
            if passing:
                raise
            return 0
        self._put_back.discard(found.id)
        return made

    async def _plan_and_fire(self, found: DueSchedule) -> int:
        firing = plan(found.timing, found.catch_up, found.due, found.now, found.most_ticks)
        start_ns, traces = time_ns(), [self._begin_trace() for _ in firing.ticks]
        jobs = [
            TickJob(new_job_id(), tick, trace and trace.traceparent)
            for tick, trace in zip(firing.ticks, traces, strict=True)
        ]
        made = len(jobs) if await self._store.fire_schedule(found, firing.next_at, jobs) else 0
        for event in (Event.FIRED, Event.ACCEPTED):
            self._telemetry.emit(event, made)
        for job, trace in zip(jobs[:made], traces, strict=False):
            self._export(found.name, job, trace, start_ns)
        return made

    def _export(self, schedule: str, job: TickJob, trace: SpanContext | None, start_ns: int) -> None:
        if trace and self._telemetry.tracing:
            about = {"sluice.schedule": schedule, "sluice.job.id": job.id}
            span = Span("fire schedule", trace, None, start_ns, time_ns(), "producer", about)
            self._telemetry.tracing.export(span)

    def _begin_trace(self) -> SpanContext | None:
        """Name the first span of a job's trace; None if it is not traced."""
        begun = self._telemetry.tracing and self._telemetry.tracing.begin(None)
        return begun[0] if begun else None
