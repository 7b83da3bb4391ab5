"""The record for batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.core.batch import Batch, NewBatch
from sluice.core.job import IdempotencyKeyUse


class BatchStore(Protocol):
    """The record, as requests write and read batches. The jobs themselves come into it through JobStore."""

    async def open_batch(self, new: NewBatch, planned: Sequence[str | None]) -> bool:
        """Store a batch with the jobs that its items are to become, None for those refused; false if its key is taken."""

    async def find_batch_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        """Find the batch for which a key was used, and for which request."""

    async def close_batch(self, batch_id: str, jobs: Sequence[str | None]) -> None:
        """Store which job each item came to; None for those refused, unless a job of theirs is there."""

    async def count_batch(self, tenant: str, batch_id: str) -> Batch | None:
        """Count how the items of a tenant's batch stand. Also raises Overloaded."""

    async def list_items(self, tenant: str, batch_id: str) -> list[str | None] | None:
        """List the job of each item of a tenant's batch, None for those refused; None if there is no such batch. Also raises Overloaded."""

    async def list_unfinished(self, tenant: str, batch_id: str) -> list[str]:
        """List the unfinished jobs of a tenant's batch. Also raises Overloaded."""
