"""The batch: many jobs that were submitted with one request, and how they stand."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

GONE_VERSIONS = 1_000_000
"""The versions that a job counts for once it is gone, more than any has, so that the version of its batch still rises; count_batch.sql says the same."""


class NewBatch(NamedTuple):
    """A batch that is not in the record yet.

    `key` is the Idempotency-Key of the whole and `request_hash` what it stands for. It is kept for `keep_s` seconds at least.
    """

    id: str
    tenant: str
    keep_s: float
    key: str | None = None
    request_hash: bytes | None = None


class BatchCounts(NamedTuple):
    """How many items of a batch are in each state. `refused` came to no job; the jobs of those `expired` are not kept any more."""

    scheduled: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    expired: int = 0

    @property
    def unfinished(self) -> int:
        """How many have still to finish."""
        return self.scheduled + self.queued + self.running


class Batch(NamedTuple):
    """A batch as it stands. `version` rises with every change of its jobs.

    `lane`, `state` and `since` are those of the unfinished job that was submitted last.
    """

    id: str
    version: int
    counts: BatchCounts
    lane: str | None = None
    state: str | None = None
    since: datetime | None = None
