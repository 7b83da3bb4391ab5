"""Cancel or retry many jobs by a filter: find a page of them, then do to each what its own route does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from api.listing.listing import JobQuery, Listing, Page
from api.listing.schemas import BulkRequest
from sluice.core.access import OPERATOR, Actor, Note
from sluice.core.announcement import announce
from sluice.core.bulk import narrow
from sluice.core.fair_share import CheckRoom, any_room
from sluice.core.job import Job, JobState
from sluice.core.listing import Filter
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import DocumentCache, ListingStore
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.telemetry import Event, Telemetry

AT_ONCE = 200
"""Jobs changed by one statement: its changes are announced before the next."""


class BulkResult(NamedTuple):
    """The jobs that matched, how many of them were changed, and the new jobs, by the jobs that they retry."""

    page: Page
    changed: int
    retries: dict[str, str]


class Bulk:
    """Changes many jobs at once, and writes down who did it with each batch. Each method raises Invalid for a filter that does not suit it, and ServerAway; what is done by then stays done."""

    def __init__(
        self,
        store: ListingStore,
        cache: DocumentCache,
        listing: Listing,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        check_room: CheckRoom = any_room,
    ) -> None:
        self._check_room = check_room
        self._store, self._cache, self._listing = store, cache, listing
        self._publisher, self._telemetry = publisher, telemetry

    async def cancel(self, tenant: str, request: BulkRequest, by: Actor = OPERATOR) -> BulkResult:
        """Cancel what has not begun, and ask running ones to stop."""
        page = await self._find(tenant, "cancel", request, narrow("cancel", request.filter.wanted))
        changed = 0
        if not request.dry_run:
            for jobs in _batches(page.jobs):
                changed += await self._cancel(tenant, jobs, _note(request, by))
        return BulkResult(page, changed, {})

    async def retry(self, tenant: str, request: BulkRequest, by: Actor = OPERATOR) -> BulkResult:
        """Make a new job for each failed one that has none. Raises BacklogFull, WholeBacklogFull, StorageFull before the next batch."""
        page = await self._find(tenant, "retry", request, narrow("retry", request.filter.wanted))
        retries: dict[str, str] = {}
        if not request.dry_run:
            for jobs in _batches(page.jobs):
                retries |= await self._retry(tenant, jobs, _note(request, by))
        return BulkResult(page, len(retries), retries)

    async def _find(self, tenant: str, purpose: str, request: BulkRequest, wanted: Filter) -> Page:
        query = JobQuery(tenant, purpose, wanted)
        return await self._listing.page(query, request.limit, request.page_token, open_only=True)

    async def _cancel(self, tenant: str, jobs: Sequence[Job], note: Note) -> int:
        changed = await self._store.cancel_jobs(tenant, [job.id for job in jobs], note)
        finished = await announce(self._cache, self._telemetry, changed)
        self._telemetry.emit(Event.CANCELLED, len(finished))
        running = [job.id for job in changed if job.state == JobState.RUNNING]
        await asyncio.gather(*map(self._cache.ask_stop, running))
        return len(changed)

    async def _retry(self, tenant: str, jobs: Sequence[Job], note: Note) -> dict[str, str]:
        for lane in {job.lane for job in jobs}:
            self._check_room(tenant, lane, True)
        new_ids = {job.id: new_job_id() for job in jobs}
        messages = await self._store.retry_jobs(tenant, new_ids, note)
        self._publisher.send(messages)
        made = {new_id for message in messages for new_id in message.ids}
        self._telemetry.emit(Event.ACCEPTED, len(made))
        return {failed: new_id for failed, new_id in new_ids.items() if new_id in made}


def _note(request: BulkRequest, by: Actor) -> Note:
    """Say who changes jobs, and which: by the filter, as there may be a thousand of them."""
    wanted = request.filter.model_dump(mode="json", exclude_none=True)
    return Note(by.key_id, orjson.dumps({"filter": wanted, "request_id": by.request_id}).decode())


def _batches(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    for start in range(0, len(jobs), AT_ONCE):
        yield jobs[start : start + AT_ONCE]
