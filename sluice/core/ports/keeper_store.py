"""The record for the keeper's repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sluice.core.job import Job, Message
from sluice.core.ports.statistics_store import StatisticsStore


class Look(NamedTuple):
    """What a look at the record found: the duties that are this keeper's turn, and how many consumers there are."""

    duties: Sequence[str]
    consumers: int


class KeeperStore(StatisticsStore, Protocol):
    """The record, as the keeper repairs, prunes and counts it. Each call does one tick's work."""

    async def look(self, rates: Mapping[str, float], idempotency_keep_s: float) -> Look:
        """Look which of these duties have something to do, and take the turns of those not done for so many seconds."""

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Take outbox rows whose time has come, putting them off by 30 s; also says how many void ids were dropped."""

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; returns the last id seen (0: the end), and ids dropped."""

    async def take_dead_leases(self) -> list[str]:
        """Take the leases that are over and that no other keeper has taken; none if this keeper's own is. Returns their ids."""

    async def find_held_jobs(self, leases: Sequence[str], *, own: bool = False) -> list[str]:
        """Find every job that runs under these leases, or under none that there is. Raises TryAgain while another looks.

        A process that looks for its `own` and one that looks for those of the dead do not hold up each other.
        """

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> list[Job]:
        """Queue, fail or cancel those of these jobs that run under these leases and are not locked; returns them as they are now."""

    async def drop_leases(self, leases: Sequence[str]) -> None:
        """Forget leases under which no job runs any more."""

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed; returns them."""

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come; returns id → version."""

    async def offer_lost(self, newest: Mapping[tuple[str, str], datetime | None], limit: int) -> int:
        """Offer jobs again whose messages are lost, at most so many; returns how many.

        `newest` is when the newest job that was claimed from each queue had been queued; None: the queue is empty.
        """

    async def offer_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""

    async def prune_jobs(self, limit: int) -> list[str]:
        """Delete jobs that were kept for long enough, at most so many; returns their ids."""

    async def prune_batches(self, limit: int) -> int:
        """Look at batches that were kept for long enough, at most so many, and delete those whose jobs are gone; returns how many."""

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        """Delete keys that are older than this and whose jobs are gone, at most so many; returns how many."""

    async def prune_audit(self, keep_s: float, limit: int) -> int:
        """Delete what was written down longer ago than this, at most so many; returns how many."""
