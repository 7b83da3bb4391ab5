"""Change a job after its submit: cancel it, retry it, delete it, list its attempts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson

from api.jobs.lookup import Lookup, check_id
from sluice.core.access import OPERATOR, Actor
from sluice.core.announcement import announce
from sluice.core.document import Document, render
from sluice.core.errors import CacheAway, JobNotFailed, JobNotFinished, JobUnknown, ServerAway
from sluice.core.fair_share import CheckRoom, any_room
from sluice.core.job import TERMINAL, Job, JobState
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import AttemptRecord, ControlStore, DocumentCache
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry

ANNOUNCE_S = 0.1
"""Longest that an answer waits for its announcement over Redis; one that takes longer goes on without it."""


class Control:
    """Changes jobs for their tenants. Each method raises JobUnknown for a job that is unknown or of another tenant, and ServerAway."""

    def __init__(
        self,
        store: ControlStore,
        cache: DocumentCache,
        lookup: Lookup,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        check_room: CheckRoom = any_room,
    ) -> None:
        self._check_room = check_room
        self._store, self._cache, self._lookup = store, cache, lookup
        self._publisher, self._telemetry = publisher, telemetry
        self._announcements: TaskSet[None] = TaskSet()

    async def cancel(self, tenant: str, job_id: str) -> Document:
        """Cancel a job, or ask it to stop if it runs. One that has ended stays as it is; asking again changes nothing."""
        job = await self._store.cancel(tenant, check_id(job_id))
        if job is None:
            return await self._lookup.find(tenant, job_id)
        document = render(job)
        if document.finished:
            self._telemetry.emit(Event.CANCELLED)
        announcement = self._announcements.start(self._announce(job), name="announce-cancel")
        await asyncio.wait([announcement], timeout=ANNOUNCE_S)
        return document

    async def retry(self, tenant: str, job_id: str) -> Document:
        """Make a new job that tries this one again; asking twice gives the same. Raises JobNotFailed, BacklogFull, WholeBacklogFull, StorageFull."""
        again = await self._store.find_retry(tenant, check_id(job_id))
        if again is None:
            await self._check_retry(tenant, job_id)
            messages = await self._store.retry(tenant, job_id, new_job_id())
            self._publisher.send(messages)
            self._telemetry.emit(Event.ACCEPTED, len(messages))
            again = await self._store.find_retry(tenant, job_id)
        if again is None:  # deleted meanwhile, while this process still had it in memory
            raise JobUnknown
        return render(again)

    async def _check_retry(self, tenant: str, job_id: str) -> None:
        """Raise JobNotFailed, or what says that there is no room where the job was."""
        failed = await self._lookup.find(tenant, job_id)
        if failed.state != JobState.FAILED:
            raise JobNotFailed
        self._check_room(tenant, orjson.loads(failed.body)["lane"], False)

    async def delete(self, tenant: str, job_id: str, by: Actor = OPERATOR) -> None:
        """Delete a finished job and all copies of it. It is written down if a key is named. Raises JobNotFinished; CacheAway if copies cannot be reached.

        Copies go first: if this process dies in between, the job is still there to be deleted again.
        """
        if not (await self._lookup.find(tenant, check_id(job_id))).finished:
            raise JobNotFinished
        try:
            await self._cache.forget(job_id)
        except ServerAway:
            raise CacheAway from None
        if not await self._store.delete_job(tenant, job_id, by):
            raise JobUnknown
        self._lookup.memory.forget(job_id)
        with suppress(ServerAway):  # for those who read it in between
            await self._cache.forget(job_id)

    async def find_input(self, tenant: str, job_id: str) -> bytes:
        """Find the input of a job, byte for byte as it is run."""
        found = await self._store.find_input(tenant, check_id(job_id))
        if found is None:
            raise JobUnknown
        return found

    async def list_attempts(self, tenant: str, job_id: str) -> list[AttemptRecord]:
        """List the newest attempts that did not succeed."""
        await self._lookup.find(tenant, job_id)
        return await self._store.list_attempts(job_id)

    async def _announce(self, job: Job) -> None:
        """Wake those who wait for the job, and tell its consumer if it is still running."""
        await announce(self._cache, self._telemetry, [job])
        if job.state not in TERMINAL:
            await self._cache.ask_stop(job.id)
