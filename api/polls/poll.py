"""One poll of many jobs: what its client knows, what it was told of while it waited, and what there is to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api.http.retry_after import RetryAfter
from api.jobs.wait import Waiter
from sluice.core.document import Document
from sluice.core.ports import Wake

MOST_ANSWER = 8 * 1024 * 1024
"""Bytes of documents in one answer, unless the first alone has more."""


class Poll(Waiter):
    """`open` has the versions that the client knows of the jobs that it has to ask for again; it is changed."""

    __slots__ = ("documents", "more", "open", "retry_s", "size", "told", "unknown")

    def __init__(self, known: dict[str, int]) -> None:
        super().__init__()
        self.open = known
        self.told: set[str] = set()
        self.documents: list[Document] = []
        self.unknown: list[str] = []
        self.size = 0
        self.more = False
        self.retry_s = 1

    @property
    def due(self) -> bool:
        """Whether there is something to say, or nothing to wait for."""
        return bool(self.documents) or self.more or not self.open

    def tell(self, job_id: str, wake: Wake) -> None:
        """Wake up if that is a newer version than the client knows."""
        if wake.version > self.open.get(job_id, wake.version):
            self.told.add(job_id)
            self.wakeup.set()

    def tell_all(self) -> None:
        """Look at everything again."""
        self.told.update(self.open)
        self.wakeup.set()

    def take(self, asked: Iterable[str], found: Mapping[str, Document], retry_after: RetryAfter) -> None:
        """Add what was found of the jobs that were asked for."""
        unfinished = []
        for job_id in asked:
            document = found.get(job_id)
            if document is None:
                self.unknown.append(job_id)
                del self.open[job_id]
                continue
            is_known = document.version == self.open[job_id] or self._add(document)
            if not document.finished:
                unfinished.append(document)
            elif is_known:
                del self.open[job_id]
        self.retry_s = _soonest(unfinished, retry_after) or self.retry_s

    def _add(self, document: Document) -> bool:
        """Add a document to the answer; false if there is no room for it, or it was not read."""
        size = len(document.body)
        if not size or (self.documents and self.size + size > MOST_ANSWER):
            self.more = True
            return False
        self.documents.append(document)
        self.size += size
        return True


def _soonest(documents: Iterable[Document], retry_after: RetryAfter) -> int:
    """Return after how many seconds the first of these is worth another look; 0 if there is none."""
    soonest = 0
    for document in documents:
        seconds = int(retry_after(document)[1])
        if seconds == 1:
            return 1
        soonest = min(soonest or seconds, seconds)
    return soonest
