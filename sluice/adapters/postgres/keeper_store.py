"""The record for the keeper's repairs: one method per statement, or two if the kinds concerned must be known first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sluice.adapters.postgres.locks import Lock
from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.rows import jobs_of, messages_of
from sluice.core.job import Job, Message
from sluice.core.lifecycle import DEADLINE_PASSED, LOST_LIMIT, WORKER_LOST, Failure

REDISPATCHED_AT_ONCE = 2_000


class PostgresKeeperStore:
    """Implements sluice.core.ports.KeeperStore."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database, self._lease_s = database, lease_s

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Take outbox rows whose time has come, putting them off by 30 s; also says how many ids were dropped."""
        rows = await self._database.fetch("take_due_messages", Lock.REDISPATCH, limit_ids, budget_s=WRITE_S)
        dropped = sum(len(row["ids"]) for row in rows if row["outbox_id"] is None)
        return list(messages_of(rows)), dropped

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; returns the last id looked at, and ids dropped."""
        rows = await self._database.fetch(
            "drop_void_messages", Lock.REDISPATCH, after, limit, budget_s=WRITE_S
        )
        return int(rows[0]["last"]), int(rows[0]["dropped"])

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel jobs whose lease ran out."""
        prints = await self._fingerprints("find_expired_kinds", limit, WORKER_LOST)
        if not prints:
            return []
        rows = await self._database.fetch(
            "rescue", Lock.RESCUE, self._lease_s, limit, LOST_LIMIT, list(prints), list(prints.values()),
            budget_s=WRITE_S,
        )  # fmt: skip
        return jobs_of(rows)

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed."""
        prints = await self._fingerprints("find_overdue_kinds", limit, DEADLINE_PASSED)
        if not prints:
            return []
        rows = await self._database.fetch(
            "fail_overdue", Lock.OVERDUE, limit, list(prints), list(prints.values()), budget_s=WRITE_S
        )
        return jobs_of(rows)

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come."""
        rows = await self._database.fetch("queue_due", Lock.DUE, limit, budget_s=WRITE_S)
        return {row["id"]: row["version"] for row in rows}

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Offer queued jobs again that younger ones of their queue have overtaken."""
        lanes, priorities = [lane for lane, _ in newest], [priority for _, priority in newest]
        rows = await self._database.fetch(
            "redispatch_overtaken", Lock.OVERTAKEN, lanes, priorities, list(newest.values()), patience_s,
            REDISPATCHED_AT_ONCE, budget_s=WRITE_S,
        )  # fmt: skip
        return int(rows[0][0])

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Offer queued jobs again whose queues have lost their messages."""
        lanes, priorities = [lane for lane, _ in queues], [priority for _, priority in queues]
        rows = await self._database.fetch(
            "redispatch_stranded", Lock.STRANDED, lanes, priorities, patience_s, REDISPATCHED_AT_ONCE,
            budget_s=WRITE_S,
        )  # fmt: skip
        return int(rows[0][0])

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""
        rows = await self._database.fetch("redispatch_ids", ids, budget_s=WRITE_S)
        return int(rows[0][0])

    async def _fingerprints(self, query: str, limit: int, failure: Failure) -> dict[str, str]:
        """Compute the fingerprint of this failure for each kind that the statement finds."""
        rows = await self._database.fetch(query, limit, budget_s=WRITE_S)
        return {kind: failure.fingerprint(kind) for (kind,) in rows}
