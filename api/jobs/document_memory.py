"""Keep finished documents in process memory, ready to send: every look-up tries here first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from api.http.response import Reply
from api.jobs.job_response import found, not_modified
from sluice.core.document import Document

OVERHEAD = 1_500
"""Bytes an entry costs besides its body (measured with tracemalloc, rounded up)."""


class MemoryEntry(NamedTuple):
    """A finished document with its two answers, made once."""

    document: Document
    found: Reply
    not_modified: Reply
    until: float


class DocumentMemory:
    """Forgets a document after `keep_s` seconds, or earlier, oldest first, when all of them take more than `limit` bytes."""

    def __init__(self, limit: int, keep_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._keep_s, self._clock = limit, keep_s, clock
        self._entries: dict[str, MemoryEntry] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, job_id: str) -> MemoryEntry | None:
        """Return the finished document of this job, if it is here."""
        entry = self._entries.get(job_id)
        if entry is not None and entry.until < self._clock():
            self._forget_oldest()
            return None
        return entry

    def put(self, document: Document) -> None:
        """Keep a finished document."""
        if document.id in self._entries or len(document.body) + OVERHEAD > self._limit:
            return
        until = self._clock() + self._keep_s
        self._entries[document.id] = MemoryEntry(document, found(document), not_modified(document), until)
        self._size += len(document.body) + OVERHEAD
        self._forget_oldest()

    def forget(self, job_id: str) -> None:
        """Drop this document: its job was deleted."""
        entry = self._entries.pop(job_id, None)
        if entry is not None:
            self._size -= len(entry.document.body) + OVERHEAD

    def clear(self) -> None:
        """Drop everything: the record may have lost what was read from it."""
        self._entries.clear()
        self._size = 0

    def _forget_oldest(self) -> None:
        """Drop what is out of date or over the limit, oldest first."""
        now = self._clock()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.until >= now and self._size <= self._limit:
                return
            del self._entries[oldest.document.id]
            self._size -= len(oldest.document.body) + OVERHEAD
