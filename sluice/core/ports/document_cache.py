"""Redis: finished documents and wake-ups; losing all of it changes speed, never truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sluice.core.document import Document
from sluice.core.job import Job


class Wake(NamedTuple):
    """What a wake-up says of a job: its new version, and whether that is its last."""

    version: int
    finished: bool


class Result(NamedTuple):
    """Which job has the result of some pure work, and when it finished, in seconds since the epoch."""

    job_id: str
    finished_at: float


class DocumentCache(Protocol):
    """Finished documents and wake-ups; losing all of it changes speed, never truth."""

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Finished documents, in the order of the ids."""

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """The newest result of each fingerprint, in the order of the fingerprints."""

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Store finished documents, note results by fingerprint, and wake the waiters of all these ids."""

    async def forget(self, *job_ids: str) -> None:
        """Put a tombstone over documents whose jobs are gone, so that no late writer brings them back, and say so. Raises ServerAway."""

    async def ask_stop(self, job_id: str) -> None:
        """Tell the consumers that a cancel was requested, so that the one that runs it beats at once."""

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Call `on_stop` with ids for ever, through every reconnection; returns when cancelled."""

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Call `on_gone` with the ids of deleted jobs for ever, like `listen_stops`."""

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Call `on_wake` with wake-ups by id for ever, through every reconnection; returns when cancelled.

        An empty mapping says that some may have been missed.
        """
