"""Finished documents, and announcements about jobs. Losing all of it makes Sluice slower, never wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sluice.core.document import Document
from sluice.core.job import Job

MOST_READ = 4 * 1024 * 1024
"""Bytes of documents that are read at once."""


class Result(NamedTuple):
    """Which job has the result of some pure work, and when it finished, in seconds since the epoch."""

    job_id: str
    finished_at: float


class DocumentCache(Protocol):
    """Finished documents, and announcements about jobs."""

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Read finished documents, in the order of the ids: the first, and as many more as fit in MOST_READ bytes."""

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """Find the newest result of each fingerprint, in the order of the fingerprints."""

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Store finished documents, note results by fingerprint, and wake the waiters of all these ids."""

    async def forget(self, *job_ids: str) -> None:
        """Put a tombstone over documents of deleted jobs, so that no late writer restores them; announce it. Raises ServerAway."""

    async def ask_stop(self, job_id: str) -> None:
        """Tell the consumers that a cancel was requested, so that the one that runs the job beats at once."""

    async def announce_pauses(self) -> None:
        """Tell the consumers that a lane was paused or resumed, so that they look into the record at once."""
