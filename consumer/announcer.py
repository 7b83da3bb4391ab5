"""Announce what this consumer has committed, in batches and in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumer.failure_report import report_unforeseen
from sluice.core.announcement import announce
from sluice.core.document import Document
from sluice.core.errors import Overloaded
from sluice.core.job import Job, JobState
from sluice.core.ports import DocumentCache, JobStore
from sluice.core.runtime.batching import OVERHEAD, Limits, SplitBatcher
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry

MOST_WAITING = 16 * 1024 * 1024
"""Bytes of documents from which on none are taken in addition while Redis is slow: whoever waits asks the record."""


class Announcer:
    """Announces jobs that this consumer has changed, without holding up the jobs. Raises nothing."""

    def __init__(self, store: JobStore, cache: DocumentCache, telemetry: Telemetry) -> None:
        self._store, self._cache, self._telemetry = store, cache, telemetry
        self._jobs: SplitBatcher[Job, None] = SplitBatcher(
            "announce",
            self._send,
            Limits(waiting=100_000, waiting_size=MOST_WAITING),
            _size,
            telemetry.count_batch,
        )
        self._versions: TaskSet[list[Document]] = TaskSet()

    def jobs_changed(self, *jobs: Job) -> None:
        """Announce these jobs as they are now."""
        for job in jobs:
            try:
                self._jobs.put(job)
            except Overloaded:
                self._telemetry.emit(Event.ANNOUNCE_FAILED)

    def versions_changed(self, versions: Mapping[str, int]) -> None:
        """Announce jobs of which only the new version is known: their progress was stored."""
        self._versions.start(announce(self._cache, self._telemetry, (), versions), "announce-versions")

    async def drain(self) -> None:
        """Wait until everything is announced."""
        await self._jobs.drain()
        await self._versions.drain()

    async def _send(self, jobs: Sequence[Job]) -> list[None]:
        cancelled = {job.id: job.version for job in jobs if job.state == JobState.CANCELLED}
        known = await self._read_back(list(cancelled))
        shown = [known.get(job.id, job) for job in jobs if job.id in known or job.id not in cancelled]
        await announce(self._cache, self._telemetry, shown, cancelled)
        return [None] * len(jobs)

    async def _read_back(self, cancelled: Sequence[str]) -> dict[str, Job]:
        """Look up cancelled jobs: the record knows when the cancel was asked for, this process does not."""
        if cancelled:
            try:
                return await self._store.look_up(cancelled)
            except Exception as error:  # noqa: BLE001  not shown then, but their waiters wake and look for themselves
                report_unforeseen(self._telemetry, "announce", error)
        return {}


def _size(job: Job) -> int:
    return len(job.result or b"") + len(job.error or b"") + OVERHEAD
