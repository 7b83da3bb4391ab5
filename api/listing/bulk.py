"""Cancel or retry many jobs by a filter: find a page of them, then do to each what the single routes do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import uuid_utils

from api.listing.filters import BulkRequest
from api.listing.listing import Listing, Page, Question
from sluice.core.announcement import announce
from sluice.core.errors import Flaw, Invalid
from sluice.core.job import Job, JobState
from sluice.core.listing import UNFINISHED, Filter
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import DocumentCache, ListingStore
from sluice.core.runtime.telemetry import Event, Telemetry

AT_ONCE = 200
"""Jobs changed by one statement: what was changed is told before the next, and inputs are copied in bounded batches."""


class Done(NamedTuple):
    """The jobs that matched, how many were changed, and the new jobs by those that they try again."""

    page: Page
    changed: int
    retries: dict[str, str]


class Bulk:
    """Each method raises Invalid for a filter that is not meant for it, ServerAway; what is done by then stays done."""

    def __init__(
        self,
        store: ListingStore,
        cache: DocumentCache,
        listing: Listing,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
    ) -> None:
        self._store, self._cache, self._listing = store, cache, listing
        self._publisher, self._telemetry = publisher, telemetry

    async def cancel(self, tenant: str, asked: BulkRequest) -> Done:
        """Cancel what has not begun, ask what runs to stop."""
        page = await self._find(tenant, "cancel", asked, _to_cancel(asked.filter.wanted))
        changed = 0
        if not asked.dry_run:
            for jobs in _parts(page.jobs):
                changed += await self._cancel(tenant, jobs)
        return Done(page, changed, {})

    async def retry(self, tenant: str, asked: BulkRequest) -> Done:
        """Make a new job for each failed one that has none."""
        page = await self._find(tenant, "retry", asked, _to_retry(asked.filter.wanted))
        retries: dict[str, str] = {}
        if not asked.dry_run:
            for jobs in _parts(page.jobs):
                retries |= await self._retry(tenant, jobs)
        return Done(page, len(retries), retries)

    async def _find(self, tenant: str, purpose: str, asked: BulkRequest, wanted: Filter) -> Page:
        question = Question(tenant, purpose, wanted)
        return await self._listing.page(question, asked.limit, asked.page_token, open_only=True)

    async def _cancel(self, tenant: str, jobs: Sequence[Job]) -> int:
        changed = await self._store.cancel_jobs(tenant, [job.id for job in jobs])
        finished = await announce(self._cache, self._telemetry, changed)
        self._telemetry.emit(Event.CANCELLED, len(finished))
        running = [job.id for job in changed if job.state == JobState.RUNNING]
        await asyncio.gather(*map(self._cache.ask_stop, running))
        return len(changed)

    async def _retry(self, tenant: str, jobs: Sequence[Job]) -> dict[str, str]:
        new_ids = {job.id: str(uuid_utils.uuid7()) for job in jobs}
        messages = await self._store.retry_jobs(tenant, new_ids)
        self._publisher.send(messages)
        made = {new_id for message in messages for new_id in message.ids}
        self._telemetry.emit(Event.ACCEPTED, len(made))
        return {failed: new_id for failed, new_id in new_ids.items() if new_id in made}


def _to_cancel(wanted: Filter) -> Filter:
    """Raises Invalid where it names nothing, or what no cancel changes."""
    if wanted == Filter():
        raise _refusal("empty", "An empty filter would cancel everything; name at least one thing.")
    if not UNFINISHED.issuperset(wanted.states):
        raise _refusal("state", "Only scheduled, queued and running jobs can be cancelled.")
    return wanted._replace(states=wanted.states or tuple(UNFINISHED))


def _to_retry(wanted: Filter) -> Filter:
    """Raises Invalid where it names what has not failed."""
    if not {JobState.FAILED}.issuperset(wanted.states):
        raise _refusal("state", "Only failed jobs can be tried again.")
    return wanted._replace(states=(JobState.FAILED,))


def _parts(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    for start in range(0, len(jobs), AT_ONCE):
        yield jobs[start : start + AT_ONCE]


def _refusal(code: str, detail: str) -> Invalid:
    return Invalid([Flaw("/filter", code, detail)])
