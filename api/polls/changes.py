"""Find how many jobs stand at once: process memory → one call to Redis → one statement, which polls share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain, islice

from api.jobs.lookup import READ_ALONE, Lookup
from api.polls.schemas import MOST_JOBS
from sluice.core.document import Document, render
from sluice.core.errors import TRANSIENT, ServerAway
from sluice.core.ports import DocumentCache, JobStore, JobVersion, KnownVersion
from sluice.core.runtime.batching import Batcher, Limits
from sluice.core.runtime.telemetry import Telemetry

LIMITS = Limits(rows=200, size=MOST_JOBS, in_flight=2)
"""How many polls are looked up together, and how many jobs these have in all."""
NO_VERSION = -1


class Changes:
    """Finds documents that differ from what is known. Concurrent polls share calls, which take turns with each other alone:
    however many polls there are, look-ups of single jobs do not wait for them.
    """

    def __init__(self, store: JobStore, cache: DocumentCache, lookup: Lookup, telemetry: Telemetry) -> None:
        self._store, self._cache, self._lookup = store, cache, lookup
        self._from_cache: Batcher[Sequence[str], Mapping[str, Document]] = Batcher(
            "poll-documents", self._read_cache, LIMITS, len, telemetry.count_batch
        )
        self._from_record: Batcher[Sequence[KnownVersion], list[JobVersion | None]] = Batcher(
            "polls", self._read_record, LIMITS, len, telemetry.count_batch
        )
        self._alone = asyncio.Semaphore(READ_ALONE)

    async def find(self, tenant: str, known: Mapping[str, int]) -> dict[str, Document]:
        """Find the documents of a tenant's jobs; unknown jobs are left out.

        A document is without a body if its version is known, and if it was not read, because others are long or the record
        is away. Raises ServerAway, TryAgain, Overloaded if then there is nothing new.
        """
        memory = self._lookup.memory
        entries = ((job_id, memory.get(job_id)) for job_id in known)
        found = {job_id: entry.document for job_id, entry in entries if entry}
        if rest := [job_id for job_id in known if job_id not in found]:
            read = await self._from_cache.put(rest)
            found |= {job_id: read[job_id] for job_id in rest if job_id in read}
        if rest := [job_id for job_id in rest if job_id not in found]:
            try:
                found |= await self._find_in_record(
                    [KnownVersion(tenant, each, known[each]) for each in rest]
                )
            except TRANSIENT:
                mine = {each: document for each, document in found.items() if document.tenant == tenant}
                if all(document.version == known[each] for each, document in mine.items()):
                    raise
                found |= {each: _without_body(tenant, each) for each in rest}
        return {job_id: document for job_id, document in found.items() if document.tenant == tenant}

    async def _find_in_record(self, known: Sequence[KnownVersion]) -> dict[str, Document]:
        found = await self._from_record.put(known)
        if any(_is_cut(each) for each in found) and not any(_is_read(each) for each in found):
            async with self._alone:  # the long results of others took all the room
                found = await self._store.find_changed(known)
        documents = {each.id: _show(each, there) for each, there in zip(known, found, strict=True) if there}
        for document in documents.values():
            if document.finished and document.body:
                self._lookup.keep(document)
        return documents

    async def _read_cache(self, asked: Sequence[Sequence[str]]) -> list[Mapping[str, Document]]:
        """Read what the cache has, as many bytes as it hands out at once; the record knows the rest."""
        ids = list(dict.fromkeys(chain.from_iterable(asked)))
        try:
            documents = await self._cache.get(ids)
        except ServerAway:
            documents = []
        found = {document.id: document for document in documents if document}
        for document in found.values():
            self._lookup.memory.put(document)
        return [found] * len(asked)

    async def _read_record(self, asked: Sequence[Sequence[KnownVersion]]) -> list[list[JobVersion | None]]:
        found = iter(await self._store.find_changed([*chain.from_iterable(asked)]))
        return [list(islice(found, len(each))) for each in asked]


def _show(known: KnownVersion, there: JobVersion) -> Document:
    if there.job and not there.job.is_cut:
        return render(there.job)
    document = _without_body(known.tenant, known.id)
    since = there.since.timestamp() if there.since else 0.0
    return document._replace(version=there.version, state=there.state, lane=there.lane, since=since)


def _without_body(tenant: str, job_id: str) -> Document:
    return Document(job_id, tenant, NO_VERSION, "", 0, 0, b"")


def _is_cut(there: JobVersion | None) -> bool:
    return there is not None and there.job is not None and there.job.is_cut


def _is_read(there: JobVersion | None) -> bool:
    return there is not None and there.job is not None and not there.job.is_cut
