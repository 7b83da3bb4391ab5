"""The record, as the keeper prunes and counts it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.job import Job
from sluice.core.queue_stats import LaneCount, Statistics, Works
from sluice.core.retention import Retention


class Pruned(NamedTuple):
    """What one tick of pruning came to.

    `gone` jobs are deleted; `looked_at` is how many rows were judged, of which `last` was the last in the order of
    ids (None where there was none).
    """

    gone: tuple[str, ...]
    looked_at: int
    last: str | None


class IdempotencyKeyCursor(NamedTuple):
    """A place in the order in which idempotency keys were made."""

    created_at: datetime
    tenant: str
    key: str


class PrunedKeys(NamedTuple):
    """What one tick of pruning idempotency keys came to, as in Pruned."""

    gone: int
    looked_at: int
    last: IdempotencyKeyCursor | None


class UpkeepStore(Protocol):
    """The record, as the keeper tidies and counts it. Where another keeper is at it, the answer is None."""

    async def prune_jobs(self, after: str, kept: Retention, limit: int) -> Pruned | None:
        """Look at this many jobs behind the id `after` that are old enough, and delete those kept for long enough."""

    async def prune_idempotency_keys(
        self, after: IdempotencyKeyCursor, keep_s: float, limit: int
    ) -> PrunedKeys | None:
        """Look at this many keys behind `after` that are older than this; delete those whose jobs are gone."""

    async def prune_consumers(self, silent_s: float) -> int:
        """Delete the notes of consumers that have not been seen for so many seconds."""

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed; returns them."""

    async def report_work(self, works: Works) -> None:
        """Note what this consumer knows of its work."""

    async def list_work(self, silent_s: float) -> list[Works]:
        """What the consumers have noted that were seen within so many seconds."""

    async def count(self, lanes: Sequence[str], most: int, every_s: float) -> dict[str, LaneCount] | None:
        """Count these lanes, up to `most` queued jobs of each; None where that was done in the last `every_s` too."""

    async def keep_statistics(self, statistics: Statistics) -> None:
        """Keep what is known of each lane."""

    async def latest_statistics(self, every_s: float) -> Statistics:
        """What was kept last, no longer than so many seconds ago."""
