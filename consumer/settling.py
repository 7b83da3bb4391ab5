"""Settle: write endings in batches, each guarded by its claim, and announce what became visible."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from consumer.announcer import Announcer
from consumer.attempt import Attempt
from consumer.failure_report import report_failure, report_unforeseen
from sluice.core.errors import BadRow, TryAgain
from sluice.core.job import Job, JobState
from sluice.core.lifecycle import Failure, Transition, failed
from sluice.core.ports import JobStore, Settled
from sluice.core.runtime.batching import OVERHEAD, Limits, SplitBatcher
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import name_trace, trace_batches

MOST_UNWRITTEN = 8 * 1024 * 1024
"""Bytes of endings from which on a slot is free only when its ending is written."""
PAUSES_S = (0.01, 0.03, 0.1, 0.25)
"""Seconds until an ending that the record did not take is tried again, the last of them ever after."""
REPORTED = 120
"""Tries after which a job that stays locked is reported: half a minute."""
MOST_REFUSALS = 20
"""How often the record may refuse an ending."""
REFUSED = Failure("bad-output", "The record refuses what the handler returned")

EVENTS = {
    JobState.SUCCEEDED: Event.SUCCEEDED,
    JobState.CANCELLED: Event.CANCELLED,
    JobState.SCHEDULED: Event.POSTPONED,
    JobState.QUEUED: Event.RELEASED,
}
"""What is counted of endings without an error; those with one are reported one by one."""


class Settling:
    """Writes the endings of all attempts of this consumer."""

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        telemetry: Telemetry,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._store, self._announcer, self._telemetry = store, announcer, telemetry
        self._pauses_s = pauses_s
        self._endings: SplitBatcher[Transition, Settled | None] = SplitBatcher(
            "settle",
            trace_batches(telemetry.tracing, "settle", self._write, lambda each: self._traced.get(each[:3])),
            Limits(waiting=100_000),
            _size,
            telemetry.count_batch,
        )
        self._traced: dict[tuple[object, ...], str] = {}
        """The traceparent of each attempt that is traced and whose ending waits to be written, by its claim."""
        self._unwritten = 0

    @property
    def has_room(self) -> bool:
        """True while few bytes of endings wait to be written."""
        return self._unwritten < MOST_UNWRITTEN

    async def settle(self, attempt: Attempt, ending: Transition) -> None:
        """Write one ending, however long the record is away: the fence refuses it if it comes too late.

        If the record goes on refusing what the handler returned, the job fails instead.
        """
        size = _size(ending)
        self._unwritten += size
        if attempt.span is not None:
            self._traced[ending[:3]] = attempt.span.traceparent
        try:
            await self._settle(attempt, ending)
        finally:
            self._unwritten -= size
            if self._traced:
                self._traced.pop(ending[:3], None)

    async def _settle(self, attempt: Attempt, ending: Transition) -> None:
        tries = refusals = 0
        while True:
            tries += 1
            try:
                settled = await self._endings.put(ending) or await self._find_own_write(ending)
                break
            except BadRow as error:
                refusals += 1
                if refusals >= MOST_REFUSALS:
                    refused = failed(attempt.job, REFUSED._replace(detail=str(error)))
                    ending = refused._replace(log=ending.log)
            except TryAgain as error:
                if tries % REPORTED == 0:
                    self._telemetry.emit(Event.DUTY_FAILED, duty="settle", why=str(error))
            except Exception as error:  # noqa: BLE001  nobody would notice an ending that was dropped
                report_unforeseen(self._telemetry, "settle", error)
            await asyncio.sleep(self._pauses_s[min(tries, len(self._pauses_s)) - 1])
        self._report(attempt.job, ending, settled)

    async def drain(self) -> None:
        """Wait until everything is written."""
        await self._endings.drain()

    def _report(self, job: Job, ending: Transition, settled: Settled | None) -> None:
        """Announce what is in the record now, or count an ending that came too late."""
        if settled is None:
            named = name_trace(job.traceparent)
            self._telemetry.emit(Event.STALE, job_id=ending.id, fence=ending.fence, **named)
            return
        job = _build_settled(job, ending, settled)
        self._announcer.jobs_changed(job)
        if _is_failure(ending, job):
            event = Event.FAILED if job.state == JobState.FAILED else Event.RETRIED
            report_failure(self._telemetry, event, job, ending.traceback)

    async def _write(self, endings: list[Transition]) -> list[Settled | None]:
        settled = {each[:3]: each for each in await self._store.settle(endings)}
        found = [settled.get(each[:3]) for each in endings]
        pairs = zip(endings, found, strict=True)
        states = Counter(now.state for each, now in pairs if now and not _is_failure(each, now))
        for state, event in EVENTS.items():
            self._telemetry.emit(event, states[state])
        return found

    async def _find_own_write(self, ending: Transition) -> Settled | None:
        """Find out whether an ending that was left out is this process's own earlier write, whose reply was lost.

        Raises TryAgain if it was left out because the job is locked: by progress that is being stored, a cancel, or a stranger.
        """
        if any(job.claim == ending[:3] for job in await self._store.recover_lost_claims([ending.id])):
            raise TryAgain(f"job {ending.id} is locked")
        job = (await self._store.look_up([ending.id])).get(ending.id)
        if job is None or (job.fence, job.error) != (ending.fence, ending.error):
            return None
        if (job.state, job.result) not in ((ending.state, ending.result), (JobState.CANCELLED, None)):
            return None
        return Settled(*ending[:3], job.state, job.version, job.finished_at)


def _is_failure(ending: Transition, now: Settled | Job) -> bool:
    """True if the record took an error as such; a cancel that was asked for turns every ending into `cancelled`."""
    return ending.error is not None and now.state == ending.state


def _build_settled(job: Job, ending: Transition, settled: Settled) -> Job:
    """Build the job as the record has it now, without reading it back: a look-up renders the same bytes."""
    return job._replace(
        state=settled.state,
        version=settled.version,
        finished_at=settled.finished_at,
        progress=None,
        input=None,
        result=ending.result,
        error=ending.error,
    )


def _size(ending: Transition) -> int:
    log = len(ending.log.lines) if ending.log else 0
    return len(ending.result or b"") + len(ending.error or b"") + len(ending.traceback or "") + log + OVERHEAD
