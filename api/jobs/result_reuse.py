"""Find the same pure work, finished or under way: process memory → Redis → PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from api.jobs.lookup import Lookup
from sluice.core.document import Document, render
from sluice.core.errors import JobUnknown, ServerAway
from sluice.core.job import Job
from sluice.core.ports import DocumentCache, JobStore, Result
from sluice.core.runtime.batching import Batcher, Limits
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.core.runtime.telemetry import Telemetry

MOST = 10_000
"""Results, and bodies that asked for them, remembered here; documents are in the DocumentMemory."""


class ReusableResult(NamedTuple):
    """The document of a job that does the same work, and when it finished, in seconds since the epoch, if it has."""

    document: Document
    finished_at: float | None


class Work(NamedTuple):
    """Pure work, and for how many seconds its result may be reused."""

    fingerprint: bytes
    fresh_s: float


class ResultReuse:
    """Finds the same work. What process memory knows it forgets after `keep_s` seconds, so that a newer result is seen."""

    def __init__(  # noqa: PLR0913  a bound that tests lower
        self,
        store: JobStore,
        cache: DocumentCache,
        lookup: Lookup,
        telemetry: Telemetry,
        keep_s: float,
        clock: Callable[[], float],
        most: int = MOST,
    ) -> None:
        self._store, self._cache, self._lookup = store, cache, lookup
        self._keep_s, self._clock = keep_s, clock
        self._results: BoundedDict[bytes, tuple[Result, float]] = BoundedDict(most)
        self._superseded: BoundedDict[bytes, float] = BoundedDict(most)
        self._bodies: BoundedDict[tuple[str, bytes], Work] = BoundedDict(most)
        self._from_cache: Batcher[bytes, Result | None] = Batcher(
            "results", self._read_cache, Limits(rows=200), count=telemetry.count_batch
        )
        self._from_record: Batcher[tuple[bytes, float], Job | None] = Batcher(
            "same", self._read_record, Limits(rows=50), count=telemetry.count_batch
        )

    async def find(
        self, tenant: str, fingerprint: bytes, fresh_s: float, now: float
    ) -> ReusableResult | None:
        """Find a result that finished less than `fresh_s` seconds before `now` (since the epoch), or the job under way.

        Raises ServerAway.
        """
        result = self._find_in_memory(fingerprint) or await self._from_cache.put(fingerprint)
        if result is not None and now - result.finished_at < fresh_s:
            self._remember(fingerprint, result)
            with suppress(JobUnknown):  # deleted since
                return ReusableResult(await self._lookup.find(tenant, result.job_id), result.finished_at)
        return await self._find_in_record(fingerprint, fresh_s)

    def find_by_body(self, tenant: str, digest: bytes, now: float) -> tuple[Document, float, float] | None:
        """Find in process memory the result that a body with this digest asked for before: the same bytes mean the same work.

        Returns the document, its age, and the age until which it may be reused, in seconds.
        """
        work = self._bodies.get((tenant, digest))
        result = work and self._find_in_memory(work.fingerprint)
        if work is None or result is None or now - result.finished_at >= work.fresh_s:
            return None
        entry = self._lookup.memory.get(result.job_id)
        return (entry.document, now - result.finished_at, work.fresh_s) if entry else None

    def remember_body(self, tenant: str, digest: bytes, work: Work) -> None:
        """Remember that the whole body with this digest asks for this work and nothing else."""
        self._bodies[tenant, digest] = work

    def supersede(self, fingerprint: bytes, now: float) -> None:
        """Forget what finished before `now` (since the epoch): the work runs again."""
        self._results.pop(fingerprint, None)
        self._superseded[fingerprint] = now

    def clear(self) -> None:
        """Drop all results: the record may have lost them."""
        self._results.clear()

    async def _find_in_record(self, fingerprint: bytes, fresh_s: float) -> ReusableResult | None:
        job = await self._from_record.put((fingerprint, fresh_s))
        if job is None:
            return None
        if job.finished_at is None:
            return ReusableResult(render(job, coalesced=True), None)
        document, finished_at = await self._render(job), job.finished_at.timestamp()
        if document is None:
            return None
        self._lookup.memory.put(document)
        self._remember(fingerprint, Result(job.id, finished_at))
        return ReusableResult(document, finished_at)

    async def _render(self, job: Job) -> Document | None:
        """Render a finished job; None if it has been deleted since it was found without its result."""
        if not job.is_cut:
            return render(job)
        with suppress(JobUnknown):
            return await self._lookup.find(job.tenant, job.id)
        return None

    def _find_in_memory(self, fingerprint: bytes) -> Result | None:
        result, until = self._results.get(fingerprint, (None, 0.0))
        return result if self._clock() < until else None

    def _remember(self, fingerprint: bytes, result: Result) -> None:
        """Remember a result, unless it is there already: asking for it must not prolong its time."""
        now = self._clock()
        if self._find_in_memory(fingerprint) or result.finished_at < self._superseded.get(fingerprint, 0.0):
            return
        self._results[fingerprint] = (result, now + self._keep_s)

    async def _read_cache(self, prints: Sequence[bytes]) -> list[Result | None]:
        try:
            return await self._cache.find_results(prints)
        except ServerAway:  # the record knows
            return [None] * len(prints)

    async def _read_record(self, wanted: Sequence[tuple[bytes, float]]) -> list[Job | None]:
        found = await self._store.find_same(dict(wanted))
        return [found.get(each) for each, _ in wanted]


def digest_of(body: bytes) -> bytes:
    """Hash a body to the short key it is remembered by."""
    return blake2b(body, digest_size=32).digest()
