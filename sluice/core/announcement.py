"""Announce visible transitions: whoever commits one calls this function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sluice.core.document import Document, render
from sluice.core.errors import TRANSIENT
from sluice.core.job import TERMINAL, Job, JobState
from sluice.core.ports import DocumentCache
from sluice.core.runtime.telemetry import Event, Telemetry


async def announce(
    cache: DocumentCache, telemetry: Telemetry, jobs: Iterable[Job], moved: Mapping[str, int] | None = None
) -> list[Document]:
    """Wake those who wait for these jobs, and store the documents of the finished ones; returns those documents.

    Other programs are told as well, if that is on.
    Results of pure work are stored under their fingerprints as well, the newest replacing any before.

    `moved` holds further ids with their new versions. Raises nothing: without Redis, waiters ask the record themselves.
    """
    jobs = list(jobs)
    if telemetry.jobs_changed is not None:
        telemetry.jobs_changed(jobs)
    finished = [render(job) for job in jobs if job.state in TERMINAL]
    versions = {job.id: job.version for job in jobs} | dict(moved or {})
    results = {job.fingerprint: job for job in jobs if job.fingerprint and job.state == JobState.SUCCEEDED}
    if versions:
        try:
            await cache.announce(versions, finished, results)
        except Exception as error:  # noqa: BLE001  what it announces is done already
            telemetry.emit(Event.ANNOUNCE_FAILED, len(versions))
            if not isinstance(error, TRANSIENT):
                telemetry.emit(Event.DUTY_FAILED, duty="announce", why=repr(error))
    return finished
