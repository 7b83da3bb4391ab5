"""What a client may do to a job after it was submitted: cancel it, try it again, forget it, see its attempts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uuid_utils

from api.jobs.lookup import Lookup, checked_id
from sluice.core.announcement import announce
from sluice.core.document import Document, render
from sluice.core.errors import CacheAway, JobNotFailed, JobNotFinished, JobUnknown, ServerAway
from sluice.core.job import TERMINAL, Job
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import AttemptRecord, ControlStore, DocumentCache
from sluice.core.runtime.telemetry import Event, Telemetry

TELL_S = 0.1
"""Longest wait of an answer until others have been told over Redis; what takes longer goes on without it."""


class Control:
    """Each method raises JobUnknown for a job that is unknown or of another tenant, and ServerAway."""

    def __init__(
        self,
        store: ControlStore,
        cache: DocumentCache,
        lookup: Lookup,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
    ) -> None:
        self._store, self._cache, self._lookup = store, cache, lookup
        self._publisher, self._telemetry = publisher, telemetry
        self._telling: set[asyncio.Task[None]] = set()

    async def cancel(self, tenant: str, job_id: str) -> Document:
        """The job, cancelled, or running with its cancel requested, or as it ended before. Asking again changes nothing."""
        job = await self._store.cancel(tenant, checked_id(job_id))
        if job is None:
            return await self._lookup.find(tenant, job_id)
        document = render(job)
        if document.finished:
            self._telemetry.emit(Event.CANCELLED)
        telling = asyncio.create_task(self._tell(job), name="tell-cancel")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await asyncio.wait([telling], timeout=TELL_S)
        return document

    async def retry(self, tenant: str, job_id: str) -> Document:
        """The new job that tries this one again; asking twice gives the same. Raises JobNotFailed."""
        messages = await self._store.retry(tenant, checked_id(job_id), str(uuid_utils.uuid7()))
        self._publisher.send(messages)
        self._telemetry.emit(Event.ACCEPTED, len(messages))
        again = await self._store.find_retry(tenant, job_id)
        if again is None:
            await self._lookup.find(tenant, job_id)
            raise JobNotFailed
        return render(again)

    async def delete(self, tenant: str, job_id: str) -> None:
        """Forget a finished job, everywhere. Raises JobNotFinished; CacheAway where copies cannot be forgotten.

        Copies go first: what is left of a delete that dies in between is a job that can be deleted.
        """
        if not (await self._lookup.find(tenant, checked_id(job_id))).finished:
            raise JobNotFinished
        try:
            await self._cache.forget(job_id)
        except ServerAway:
            raise CacheAway from None
        if not await self._store.delete_job(tenant, job_id):
            raise JobUnknown
        self._lookup.memory.forget(job_id)
        with suppress(ServerAway):  # for those who have read it in between
            await self._cache.forget(job_id)

    async def attempts(self, tenant: str, job_id: str) -> list[AttemptRecord]:
        """Every attempt that did not succeed."""
        await self._lookup.find(tenant, job_id)
        return await self._store.list_attempts(job_id)

    async def _tell(self, job: Job) -> None:
        """Those who wait, and where it still runs its consumer."""
        await announce(self._cache, self._telemetry, [job])
        if job.state not in TERMINAL:
            await self._cache.ask_stop(job.id)
