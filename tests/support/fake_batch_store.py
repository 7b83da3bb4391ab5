"""sluice.core.ports.BatchStore over a record in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sluice.core.batch import GONE_VERSIONS, Batch, BatchCounts, NewBatch
from sluice.core.job import TERMINAL, IdempotencyKeyUse, Job
from tests.support.fake_record import FakeRecord


class FakeBatchStore:
    """Batches of the jobs that a record holds. `away` makes every call to it alone fail, as `FakeRecord.away` does with all."""

    def __init__(self, record: FakeRecord) -> None:
        self._record = record
        self.batches: dict[str, tuple[NewBatch, list[str | None]]] = {}
        self.away: Exception | None = None

    def check(self) -> None:
        """Raise what makes it away."""
        self._record.check()
        if self.away:
            raise self.away

    async def open_batch(self, new: NewBatch, planned: Sequence[str | None]) -> bool:
        """Unless its key is taken."""
        if new.key is not None and await self.find_batch_by_key(new.tenant, new.key):
            return False
        self.check()
        self.batches[new.id] = (new, list(planned))
        return True

    async def find_batch_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        """What this key stands for."""
        self.check()
        for new, _ in self.batches.values():
            if (new.tenant, new.key) == (tenant, key):
                return IdempotencyKeyUse(new.request_hash or b"", new.id)
        return None

    async def close_batch(self, batch_id: str, jobs: Sequence[str | None]) -> None:
        """These jobs, and those that are there of items without one."""
        self.check()
        new, there = self.batches[batch_id]
        before = [each if each in self._record.jobs else None for each in there]
        before += [None] * (len(jobs) - len(before))
        items = [came or was for came, was in zip(jobs, before, strict=False)]
        self.batches[batch_id] = (new, [*items, *there[len(jobs) :]])

    async def count_batch(self, tenant: str, batch_id: str) -> Batch | None:
        """How its items stand."""
        items = self._items(tenant, batch_id)
        if items is None:
            return None
        jobs = [self._record.jobs.get(each or "") for each in items]
        states = Counter(
            job.state if job else "expired" if each else "refused"
            for job, each in zip(jobs, items, strict=True)
        )
        versions = sum(
            job.version if job else GONE_VERSIONS if each else 0
            for job, each in zip(jobs, items, strict=True)
        )
        last = next((job for job in reversed(jobs) if job and job.state not in TERMINAL), None)
        pace = (last.lane, str(last.state), _since(last)) if last else ()
        return Batch(batch_id, 1 + versions, BatchCounts(**{str(key): states[key] for key in states}), *pace)

    async def list_items(self, tenant: str, batch_id: str) -> list[str | None] | None:
        """The job of each."""
        items = self._items(tenant, batch_id)
        return None if items is None else [*items]

    async def list_unfinished(self, tenant: str, batch_id: str) -> list[str]:
        """Its jobs that have not ended."""
        jobs = (self._record.jobs.get(each or "") for each in self._items(tenant, batch_id) or ())
        return list({job.id for job in jobs if job and job.state not in TERMINAL})

    def _items(self, tenant: str, batch_id: str) -> list[str | None] | None:
        self.check()
        new, items = self.batches.get(batch_id, (None, []))
        return items if new and new.tenant == tenant else None


def _since(job: Job) -> datetime | None:
    return {"queued": job.queued_at, "scheduled": job.run_at}.get(job.state, job.started_at)
