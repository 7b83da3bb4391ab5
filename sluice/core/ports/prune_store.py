"""The record for pruning."""

from __future__ import annotations

from typing import Protocol


class PruneStore(Protocol):
    """The record, as the keeper prunes it."""

    async def prune_jobs(self, limit: int) -> list[str]:
        """Delete jobs that were kept for long enough, at most so many; returns their ids."""

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        """Delete keys that are older than this and whose jobs are gone, at most so many; returns how many."""
