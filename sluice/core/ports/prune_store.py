"""The record for pruning."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.retention import Retention


class Pruned(NamedTuple):
    """What one tick of pruning did.

    `gone` jobs are deleted; `looked_at` is how many rows were judged, of which `last` was the last in the order of
    ids (None if there was none).
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
    """What one tick of pruning idempotency keys did, as in Pruned."""

    gone: int
    looked_at: int
    last: IdempotencyKeyCursor | None


class PruneStore(Protocol):
    """The record, as the keeper prunes it. While another keeper is pruning, the answer is None."""

    async def prune_jobs(self, after: str, kept: Retention, limit: int) -> Pruned | None:
        """Look at so many old jobs after the id `after`, and delete those that were kept for long enough."""

    async def prune_idempotency_keys(
        self, after: IdempotencyKeyCursor, keep_s: float, limit: int
    ) -> PrunedKeys | None:
        """Look at so many keys after `after` that are older than this, and delete those whose jobs are gone."""

    async def prune_consumers(self, silent_s: float) -> int:
        """Delete the rows of consumers that have not been seen for so many seconds."""
