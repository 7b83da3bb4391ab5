"""Finished documents in process memory, ready to send: the first place every look-up asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from api.http import response as answers
from api.http.response import Reply
from sluice.core.document import Document

OVERHEAD = 1_500
"""Bytes an entry costs besides its body (measured with tracemalloc, rounded up)."""


class Held(NamedTuple):
    """A finished document with its two answers, made once."""

    document: Document
    found: Reply
    not_modified: Reply
    until: float


class DocumentMemory:
    """Forgets a document after `keep_s` seconds, or earlier, oldest first, when more than `limit` bytes are held."""

    def __init__(self, limit: int, keep_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._keep_s, self._clock = limit, keep_s, clock
        self._held: dict[str, Held] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, job_id: str) -> Held | None:
        """The finished document of this job, if it is here."""
        held = self._held.get(job_id)
        if held is not None and held.until < self._clock():
            self._forget_oldest()
            return None
        return held

    def put(self, document: Document) -> None:
        """Keep a finished document."""
        if document.id in self._held or len(document.body) + OVERHEAD > self._limit:
            return
        reply, unchanged = answers.found(document), answers.not_modified(document)
        until = self._clock() + self._keep_s
        self._held[document.id] = Held(document, reply, unchanged, until)
        self._size += len(document.body) + OVERHEAD
        self._forget_oldest()

    def forget(self, job_id: str) -> None:
        """Drop this document: its job was deleted."""
        held = self._held.pop(job_id, None)
        if held is not None:
            self._size -= len(held.document.body) + OVERHEAD

    def _forget_oldest(self) -> None:
        """Drop from the front, which is the oldest, whatever is out of date or over the limit."""
        now = self._clock()
        while self._held:
            oldest = next(iter(self._held.values()))
            if oldest.until >= now and self._size <= self._limit:
                return
            del self._held[oldest.document.id]
            self._size -= len(oldest.document.body) + OVERHEAD
