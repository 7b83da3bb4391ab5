"""The record for the keeper's repairs: one method per statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sluice.adapters.postgres.pool import WRITE_S, Database
from sluice.adapters.postgres.rows import jobs_of, messages_of
from sluice.core.job import Job, Message
from sluice.core.lifecycle import LOST_LIMIT
from sluice.core.ports import Held, Look, OpenJob

RESCUE_S = 10.0
"""Seconds after which another keeper rescues the jobs of a dead consumer, if the one that began has died as well."""


class PostgresKeeperStore:
    """Implements sluice.core.ports.KeeperStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, rates: Mapping[str, float], idempotency_keep_s: float) -> Look:
        """Look which of these duties have something to do, and take the turns of those not done for so many seconds."""
        rows = await self._database.fetch(
            "look", list(rates), list(rates.values()), idempotency_keep_s, budget_s=WRITE_S
        )
        return Look(*rows[0])

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Take outbox rows whose time has come, putting them off by 30 s; also says how many ids were dropped."""
        rows = await self._database.fetch("take_due_messages", limit_ids, budget_s=WRITE_S)
        dropped = sum(len(row["ids"]) for row in rows if row["outbox_id"] is None)
        return list(messages_of(rows)), dropped

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; returns the last id looked at, and ids dropped."""
        rows = await self._database.fetch("drop_void_messages", after, limit, budget_s=WRITE_S)
        return int(rows[0]["last"]), int(rows[0]["dropped"])

    async def take_dead_leases(self) -> list[str]:
        """Take the leases that are over and that no other keeper has taken."""
        rows = await self._database.fetch("take_dead_leases", RESCUE_S, budget_s=WRITE_S)
        return [lease for (lease,) in rows]

    async def find_held_jobs(self, leases: Sequence[str], after: OpenJob, limit: int) -> Held:
        """Find jobs that run under these leases among so many unfinished ones."""
        rows = await self._database.fetch("find_held_jobs", leases, *after, limit, budget_s=WRITE_S)
        ids, tenant, job_id = rows[0]
        return Held(ids, OpenJob(tenant, job_id) if job_id else None)

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> list[Job]:
        """Queue, fail or cancel those of these jobs that run under these leases."""
        return jobs_of(await self._database.fetch("rescue", ids, leases, LOST_LIMIT, budget_s=WRITE_S))

    async def drop_leases(self, leases: Sequence[str]) -> None:
        """Forget leases under which no job runs any more."""
        await self._database.fetch("drop_leases", leases, budget_s=WRITE_S)

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail jobs that wait although their deadline has passed."""
        return jobs_of(await self._database.fetch("fail_overdue", limit, budget_s=WRITE_S))

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come."""
        rows = await self._database.fetch("queue_due", limit, budget_s=WRITE_S)
        return {row["id"]: row["version"] for row in rows}

    async def offer_lost(self, newest: Mapping[tuple[str, str], datetime | None], limit: int) -> int:
        """Offer queued jobs again whose messages are lost."""
        lanes, priorities = [lane for lane, _ in newest], [priority for _, priority in newest]
        rows = await self._database.fetch(
            "offer_lost", lanes, priorities, list(newest.values()), limit, budget_s=WRITE_S
        )
        return int(rows[0][0])

    async def offer_parked(self, limit: int) -> int:
        """Offer jobs whose kind was served by nobody and is served now."""
        return int((await self._database.fetch("offer_parked", limit, budget_s=WRITE_S))[0][0])

    async def offer_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""
        return int((await self._database.fetch("offer_ids", ids, budget_s=WRITE_S))[0][0])
