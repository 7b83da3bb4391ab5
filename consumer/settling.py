"""Settle: write endings in batches, each guarded by its fence, and announce what became visible."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from consumer.attempt import Attempt
from sluice.core.announcement import announce
from sluice.core.document import Document
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.job import Job, JobState
from sluice.core.lifecycle import Transition
from sluice.core.outcome import LeaseLost
from sluice.core.ports import DocumentCache, JobStore, Settled
from sluice.core.runtime.batching import Batcher, Limits
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError

PAUSE_S = 0.25
EVENTS = {
    JobState.SUCCEEDED: Event.SUCCEEDED,
    JobState.FAILED: Event.FAILED,
    JobState.CANCELLED: Event.CANCELLED,
    JobState.SCHEDULED: Event.RETRIED,
    JobState.QUEUED: Event.RELEASED,
}


class Settling:
    """Takes the endings of all attempts of this consumer."""

    def __init__(self, store: JobStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry
        self._telling: set[asyncio.Task[list[Document]]] = set()
        limits = Limits(waiting=100_000)
        self._writing: Batcher[Transition, Settled | None] = Batcher("settle", self._write, limits, _size)
        self._announcing: Batcher[Job, None] = Batcher("announce", self._announce, Limits(waiting=100_000))

    async def settle(self, attempt: Attempt, ending: Transition) -> None:
        """Write one ending, however long the record is away: the fence refuses it where it comes too late.

        What the record refuses for another reason is tried until the lease is lost.
        """
        tries = 0
        while True:
            tries += 1
            try:
                settled = await self._writing.put(ending)
                if settled is None and tries > 1:
                    settled = await self._own(ending)
            except SluiceError as error:
                if isinstance(attempt.stopped, LeaseLost) and not isinstance(error, ServerAway | TryAgain):
                    return
                await asyncio.sleep(PAUSE_S)
                continue
            if settled is None:
                self._telemetry.emit(Event.STALE, job_id=ending.id, fence=ending.fence)
            else:
                self._announcing.put(_as_settled(attempt.job, ending, settled))
            return

    def announce(self, jobs: Iterable[Job]) -> None:
        """Announce jobs that changed in another way than by an ending."""
        for job in jobs:
            self._announcing.put(job)

    def announce_versions(self, versions: Mapping[str, int]) -> None:
        """Announce jobs of which only the new version is known: their progress was stored."""
        task = asyncio.create_task(announce(self._cache, self._telemetry, (), versions), name="progress")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def drain(self) -> None:
        """Wait until everything is written and announced."""
        await self._writing.drain()
        await self._announcing.drain()

    async def _write(self, endings: list[Transition]) -> list[Settled | None]:
        settled = {(each.id, each.fence): each for each in await self._store.settle(endings)}
        for state, count in Counter(each.state for each in settled.values()).items():
            self._telemetry.emit(EVENTS[JobState(state)], count)
        return [settled.get((each.id, each.fence)) for each in endings]

    async def _own(self, ending: Transition) -> Settled | None:
        """Whether a refused ending is this process's own earlier write, whose reply was lost."""
        job = (await self._store.look_up([ending.id])).get(ending.id)
        if job is None or job.fence != ending.fence or job.state not in (ending.state, JobState.CANCELLED):
            return None
        return Settled(job.id, job.fence, job.state, job.version, job.finished_at)

    async def _announce(self, jobs: Sequence[Job]) -> list[None]:
        cancelled = {job.id: job.version for job in jobs if job.state == JobState.CANCELLED}
        known = await self._read_back(list(cancelled))
        shown = [known.get(job.id, job) for job in jobs if job.id in known or job.id not in cancelled]
        await announce(self._cache, self._telemetry, shown, cancelled)
        return [None] * len(jobs)

    async def _read_back(self, cancelled: Sequence[str]) -> dict[str, Job]:
        """The cancelled jobs as they are: when the cancel was asked for is known to the record, not to this process."""
        if cancelled:
            with suppress(SluiceError):  # they are not shown then, but their waiters wake and look themselves
                return await self._store.look_up(cancelled)
        return {}


def _as_settled(job: Job, ending: Transition, settled: Settled) -> Job:
    """The job as the record has it now, without reading it back: byte for byte what a look-up would render."""
    return job._replace(
        state=settled.state,
        version=settled.version,
        finished_at=settled.finished_at,
        progress=None,
        result=ending.result,
        error=ending.error,
    )


def _size(ending: Transition) -> int:
    return len(ending.result or b"") + len(ending.error or b"") + 256
