"""sluice.core.ports.ListingStore over a record in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.core.job import TAG_SEPARATOR, Job, JobState, Message
from sluice.core.listing import ErrorGroup, Filter, Found


class FakeListing:
    """Lists what the record holds; everything else goes through the record's own methods."""

    def __init__(self, record: Any) -> None:
        self._record = record
        self.errors: list[ErrorGroup] = []
        self.asked: list[tuple[str, str, int]] = []

    async def list_jobs(
        self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False
    ) -> Found:
        """Newest first."""
        await self._record.look_up([])
        found = [job for job in self._record.jobs.values() if job.tenant == tenant and job.id < below]
        fits = [job for job in found if _fits(job, wanted) and not (open_only and self._is_done_with(job))]
        newest = sorted(fits, reverse=True)
        return Found(newest[:limit], newest[limit - 1].id if len(newest) > limit else None)

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        """What the test put there."""
        await self._record.look_up([])
        self.asked.append((tenant, lowest_id, limit))
        return self.errors

    async def cancel_jobs(self, tenant: str, ids: Sequence[str]) -> list[Job]:
        """One by one."""
        return [job for each in ids if (job := await self._record.cancel(tenant, each))]

    async def retry_jobs(self, tenant: str, new_ids: Mapping[str, str]) -> list[Message]:
        """One by one."""
        return [
            message
            for failed, new in new_ids.items()
            for message in await self._record.retry(tenant, failed, new)
        ]

    def _is_done_with(self, job: Job) -> bool:
        if job.state == JobState.FAILED:
            return any(each.retry_of == job.id for each in self._record.jobs.values())
        return job.cancel_requested_at is not None


def _fits(job: Job, wanted: Filter) -> bool:
    return (
        job.state in wanted.states
        and wanted.kind in (None, job.kind)
        and (wanted.tag is None or wanted.tag in (job.tags or "").split(TAG_SEPARATOR))
        and (wanted.created_after is None or job.created_at >= wanted.created_after)
        and (wanted.created_before is None or job.created_at < wanted.created_before)
    )
