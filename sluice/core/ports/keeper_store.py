"""The record for the keeper's repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sluice.core.job import Job, Message


class KeeperStore(Protocol):
    """The record, as the keeper repairs it. Each call does one tick's work, or nothing while another keeper does it."""

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Take outbox rows whose time has come, putting them off by 30 s; also says how many void ids were dropped."""

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; returns the last id seen (0: the end), and ids dropped."""

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel jobs whose lease ran out; returns them as they are now."""

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed; returns them."""

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come; returns id → version."""

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Offer queued jobs again that are older by this much than the newest claim of their (lane, priority)."""

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Offer queued jobs of these (lane, priority) again, which were queued at least this long ago."""

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""
