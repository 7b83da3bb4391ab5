"""sluice.core.ports.ListingStore over a record in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from sluice.core.access import NOTHING, OPERATOR, Actor, Note
from sluice.core.job import TAG_SEPARATOR, TERMINAL, Job, JobState, Message
from sluice.core.listing import ErrorGroup, ErrorMark, Filter, Found
from tests.support.fake_control_store import FakeControlStore


class FakeListingStore:
    """Lists what the record holds; changes go through the record's own methods. `asked` is what errors were asked for.

    Where a test has put groups of `errors` there, they are the answer.
    """

    def __init__(self, record: FakeControlStore) -> None:
        self._record = record
        self.errors: list[ErrorGroup] = []
        self.asked: list[tuple[str, str, int]] = []
        self.marks: dict[tuple[str, str | None], tuple[ErrorMark, datetime, set[str]]] = {}

    async def list_jobs(
        self, tenant: str, wanted: Filter, below: str, limit: int, open_only: bool = False
    ) -> Found:
        """Newest first, without inputs and results."""
        self._record.check()
        found = [job for job in self._record.jobs.values() if job.tenant == tenant and job.id < below]
        fits = [job for job in found if _fits(job, wanted) and not (open_only and self._is_done_with(job))]
        newest = [job._replace(input=None, result=None) for job in sorted(fits, reverse=True)]
        return Found(newest[:limit], newest[limit - 1].id if len(newest) > limit else None)

    async def list_errors(self, tenant: str, lowest_id: str, limit: int) -> list[ErrorGroup]:
        """The newest failures, the largest group first."""
        self._record.check()
        self.asked.append((tenant, lowest_id, limit))
        failed = [job for job in self._record.jobs.values() if job.tenant == tenant and job.id >= lowest_id]
        groups: defaultdict[tuple[str | None, str], list[Job]] = defaultdict(list)
        for job in sorted((job for job in failed if job.state == JobState.FAILED), reverse=True)[:limit]:
            groups[_fingerprint(job), job.kind].append(job)
        found = [
            self._add_mark(_group(fingerprint, kind, jobs), tenant, jobs)
            for (fingerprint, kind), jobs in groups.items()
        ]
        return self.errors or sorted(found, key=lambda group: (group.failures, group.newest), reverse=True)

    async def mark_error(
        self, tenant: str, fingerprint: str, mark: ErrorMark | None, by: Actor = OPERATOR
    ) -> None:
        """Its clock may stand still: jobs that fail later are those that have not failed by now."""
        self._record.check()
        self.marks.pop((tenant, fingerprint), None)
        if mark:
            failed = {job.id for job in self._record.jobs.values() if job.state == JobState.FAILED}
            self.marks[tenant, fingerprint] = mark, self._record.now, failed

    async def cancel_jobs(self, tenant: str, ids: Sequence[str], note: Note = NOTHING) -> list[Job]:
        """One by one."""
        return [job for each in ids if (job := await self._record.cancel(tenant, each))]

    async def retry_jobs(
        self, tenant: str, new_ids: Mapping[str, str], note: Note = NOTHING
    ) -> list[Message]:
        """One by one."""
        return [
            message
            for failed, new in new_ids.items()
            for message in await self._record.retry(tenant, failed, new)
        ]

    def _add_mark(self, group: ErrorGroup, tenant: str, jobs: Sequence[Job]) -> ErrorGroup:
        if (tenant, group.fingerprint) not in self.marks:
            return group
        mark, at, before = self.marks[tenant, group.fingerprint]
        group = group._replace(mark=mark, marked_at=at)
        later = min((job for job in jobs if job.id not in before), key=_end, default=None)
        if later is None:
            return group
        return group._replace(
            back_at=_end(later), back_version=self._record.handler_versions.get(later.id, 1)
        )

    def _is_done_with(self, job: Job) -> bool:
        if job.state in TERMINAL:
            return any(each.retry_of == job.id for each in self._record.jobs.values())
        return job.cancel_requested_at is not None


def _fits(job: Job, wanted: Filter) -> bool:
    return (
        job.state in wanted.states
        and wanted.kind in (None, job.kind)
        and (wanted.tag is None or wanted.tag in (job.tags or "").split(TAG_SEPARATOR))
        and (wanted.created_after is None or job.created_at >= wanted.created_after)
        and (wanted.created_before is None or job.created_at < wanted.created_before)
        and (wanted.error is None or wanted.error == _fingerprint(job))
    )


def _fingerprint(job: Job) -> str | None:
    """The record has it in a column of its own, for failed jobs alone."""
    if job.state != JobState.FAILED or job.error is None:
        return None
    found: str | None = orjson.loads(job.error).get("fingerprint")
    return found


def _end(job: Job) -> datetime:
    assert job.finished_at
    return job.finished_at


def _group(fingerprint: str | None, kind: str, jobs: Sequence[Job]) -> ErrorGroup:
    """Make a group of jobs, newest first."""
    ends = sorted(map(_end, jobs))
    hours = [at.replace(minute=0, second=0, microsecond=0) for at in ends]
    return ErrorGroup(fingerprint, kind, len(jobs), ends[-1], jobs[0].id, jobs[0].error, ends[0], hours)
