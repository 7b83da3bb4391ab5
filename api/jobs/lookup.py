"""Look up a job: process memory → Redis → PostgreSQL. The first two hold only finished documents, which never change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from time import time

from api.jobs.document_memory import DocumentMemory
from sluice.core.document import Document, render
from sluice.core.errors import JobExpired, JobUnknown, Overloaded, ServerAway
from sluice.core.job import Job, made_at
from sluice.core.ports import DocumentCache, JobStore
from sluice.core.runtime.batching import OVERHEAD, Batcher, Limits, SplitBatcher
from sluice.core.runtime.telemetry import Telemetry

JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

MOST_REFILLS = 16 * 1024 * 1024
"""Bytes of documents from which on no more are kept for a slow Redis."""
READ_ALONE = 2
"""Long documents that are read at once, each by a statement of its own."""
NOT_READ = Document("", "", 0, "", 0, 0, b"")
"""Stands for a document that did not fit beside others: it is asked for again."""


def check_id(job_id: str) -> str:
    """Return the id if it could be one of ours. Raises JobUnknown."""
    if not JOB_ID.fullmatch(job_id):
        raise JobUnknown
    return job_id


class Lookup:
    """Finds documents; concurrent look-ups share one MGET and one SELECT.

    No finished job is pruned in its first `kept_s` seconds; `now` is the time since the epoch.
    """

    def __init__(
        self,
        store: JobStore,
        cache: DocumentCache,
        memory: DocumentMemory,
        telemetry: Telemetry,
        kept_s: float = inf,
        now: Callable[[], float] = time,
    ) -> None:
        self._kept_s, self._now = kept_s, now
        self._store = store
        self._cache = cache
        self.memory = memory
        self._from_cache: Batcher[str, Document | None] = Batcher(
            "documents", self._read_cache, Limits(rows=200), count=telemetry.count_batch
        )
        self._from_record: Batcher[str, Job | Document | None] = Batcher(
            "look-up", self._read_record, Limits(rows=200, in_flight=2), count=telemetry.count_batch
        )
        self._alone = asyncio.Semaphore(READ_ALONE)
        self._refill: SplitBatcher[Document, None] = SplitBatcher(
            "refill",
            self._write_cache,
            Limits(rows=200, waiting_size=MOST_REFILLS),
            _size,
            telemetry.count_batch,
        )

    async def find(self, tenant: str, job_id: str) -> Document:
        """Find the document of a tenant's job. Raises JobUnknown, ServerAway; JobExpired if its id is old enough for that."""
        document = (
            self._find_in_memory(job_id)
            or await self._find_in_cache(job_id)
            or await self._find_in_record(job_id)
        )
        if document is None or document.tenant != tenant:
            raise JobExpired if self._now() - made_at(job_id) > self._kept_s else JobUnknown
        return document

    def keep(self, document: Document) -> None:
        """Keep a finished document that was read from the record in memory and in the cache."""
        self.memory.put(document)
        with suppress(Overloaded):  # the next look-up asks the record again
            self._refill.put(document)

    async def drain(self) -> None:
        """Wait until what was read from the record is in the cache."""
        await self._refill.drain()

    def _find_in_memory(self, job_id: str) -> Document | None:
        entry = self.memory.get(check_id(job_id))
        return entry.document if entry else None

    async def _find_in_cache(self, job_id: str) -> Document | None:
        document = await self._from_cache.put(job_id)
        while document is NOT_READ:
            document = await self._from_cache.put(job_id)
        if document:
            self.memory.put(document)
        return document

    async def _find_in_record(self, job_id: str) -> Document | None:
        job = await self._from_record.put(job_id)
        if job is NOT_READ:
            async with self._alone:  # in the order in which they are asked for, whatever else is
                if document := self._find_in_memory(job_id):
                    return document
                job = (await self._store.look_up([job_id])).get(job_id)
        document = render(job) if isinstance(job, Job) else None
        if document and document.finished:
            self.keep(document)
        return document

    async def _read_cache(self, ids: Sequence[str]) -> list[Document | None]:
        wanted = list(dict.fromkeys(ids))
        try:
            read = dict(zip(wanted, await self._cache.get(wanted), strict=False))
        except ServerAway:  # the record knows
            return [None] * len(ids)
        return [read.get(job_id, NOT_READ) for job_id in ids]

    async def _read_record(self, ids: Sequence[str]) -> list[Job | Document | None]:
        jobs = await self._store.look_up(list(set(ids)))
        cut = {job_id for job_id, job in jobs.items() if job.is_cut}
        return [NOT_READ if job_id in cut else jobs.get(job_id) for job_id in ids]

    async def _write_cache(self, documents: Sequence[Document]) -> list[None]:
        with suppress(ServerAway):  # as above
            await self._cache.announce({}, documents, {})
        return [None] * len(documents)


def _size(document: Document) -> int:
    return len(document.body) + OVERHEAD
