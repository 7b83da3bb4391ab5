"""The record as both flows and the keeper use it: one method per statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sluice import __version__
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server_checks import READ_ONLY
from sluice.core.errors import ServerUnfit
from sluice.core.job import Accepted, IdempotencyKeyUse, Job, Message, NewJob
from sluice.core.lifecycle import LOST_LIMIT, Transition
from sluice.core.ports import AttemptRecord, Settled
from sluice.core.runtime.settings import Settings

WRITE_S = 5.0
"""Seconds for statements that no client waits for."""

REDISPATCH_LOCK, RESCUE_LOCK, DUE_LOCK, OVERTAKEN_LOCK, STRANDED_LOCK = range(7_519_010, 7_519_015)


class Store:
    """Implements sluice.core.ports.JobStore and sluice.core.ports.KeeperStore. `owner` is this process in the record."""

    def __init__(self, database: Database, owner: UUID, settings: Settings) -> None:
        self._database = database
        self._owner = owner
        self._read_s, self._accept_s = settings.record_budget_s, settings.accept_budget_s
        self._write_s = WRITE_S
        self._lease_s, self._due_s = settings.lease_s, settings.dispatch_due_s

    async def accept(self, jobs: Sequence[NewJob]) -> Accepted:
        """Write jobs and outbox in one statement."""
        rows = await self._database.commit(
            "accept", *zip(*jobs, strict=True), self._due_s, budget_s=self._accept_s
        )
        at = rows[0]["at"] if rows else datetime.now(UTC)
        ids = frozenset(each for row in rows for each in row["ids"])
        return Accepted(at, ids, _messages(rows))

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        """Of each fingerprint the newest success that is younger than so many seconds, or else the job under way."""
        prints, ages = list(wanted), list(wanted.values())
        rows = await self._database.fetch("find_same_work", prints, ages, budget_s=self._read_s)
        return {job.fingerprint: job for job in map(Job._make, rows) if job.fingerprint}

    async def find_idempotency_keys(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], IdempotencyKeyUse]:
        """What these (tenant, key) stand for, where they were used."""
        rows = await self._database.fetch(
            "find_idempotency_keys", *zip(*keys, strict=True), budget_s=self._read_s
        )
        return {(tenant, key): IdempotencyKeyUse(*use) for tenant, key, *use in rows}

    async def bind_idempotency_key(self, tenant: str, key: str, use: IdempotencyKeyUse) -> bool:
        """Let a key stand for a job that was there before it; false where it stands for another."""
        values = (tenant, key, *use)
        kept = await self._database.fetch("bind_idempotency_key", *values, budget_s=self._accept_s)
        return bool(
            kept or await self._database.fetch("repoint_idempotency_key", *values, budget_s=self._accept_s)
        )

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id, with result and error."""
        rows = await self._database.fetch("find_jobs", ids, budget_s=self._read_s)
        return {job.id: job for job in map(Job._make, rows)}

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Delete outbox rows whose messages RabbitMQ has confirmed."""
        await self._database.fetch("delete_dispatched", outbox_ids, budget_s=self._write_s)

    async def claim(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Take queued jobs of these kinds, raising their fence."""
        rows = await self._database.fetch(
            "claim", ids, self._owner, kinds, self._lease_s, budget_s=self._write_s
        )
        return [Job._make(row) for row in rows]

    async def recover_lost_claims(self, ids: Sequence[str]) -> list[Job]:
        """Jobs of these that this process holds already."""
        rows = await self._database.fetch("recover_lost_claims", ids, self._owner, budget_s=self._write_s)
        return [Job._make(row) for row in rows]

    async def defer_unclaimed(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Deal with ids that could not be claimed; returns the overdue, now failed."""
        rows = await self._database.fetch("defer_unclaimed", ids, kinds, budget_s=self._write_s)
        return [Job._make(row) for row in rows]

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """Write endings, guarded by fence and state."""
        rows = await self._database.fetch("settle", *zip(*transitions, strict=True), budget_s=self._write_s)
        return [Settled._make(row) for row in rows]

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel what has not begun, ask what runs to stop."""
        rows = await self._database.fetch("cancel", tenant, [job_id], budget_s=self._accept_s)
        return Job._make(rows[0]) if rows else None

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        """Insert a new job that tries a failed one again."""
        rows = await self._database.fetch(
            "retry", tenant, [job_id], [new_id], self._due_s, budget_s=self._accept_s
        )
        return list(_messages(rows))

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        """The job that tries this one again."""
        rows = await self._database.fetch("find_retry", tenant, job_id, budget_s=self._read_s)
        return Job._make(rows[0]) if rows else None

    async def delete_job(self, tenant: str, job_id: str) -> bool:
        """Forget a finished job."""
        return bool(await self._database.fetch("delete_job", tenant, job_id, budget_s=self._accept_s))

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        """Every attempt of a job that did not succeed, in order."""
        rows = await self._database.fetch("list_attempts", job_id, budget_s=self._read_s)
        return [AttemptRecord._make(row) for row in rows]

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Outbox rows whose time has come, put off by 30 s; and how many were dropped."""
        rows = await self._database.fetch(
            "take_due_messages", REDISPATCH_LOCK, limit_ids, budget_s=self._write_s
        )
        dropped = sum(len(row["ids"]) for row in rows if row["outbox_id"] is None)
        return list(_messages(rows)), dropped

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Delete outbox rows with higher ids that name no queued job; the last id looked at, ids dropped."""
        rows = await self._database.fetch(
            "drop_void_messages", REDISPATCH_LOCK, after, limit, budget_s=self._write_s
        )
        return int(rows[0]["last"]), int(rows[0]["dropped"])

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel jobs whose lease ran out."""
        rows = await self._database.fetch(
            "rescue", RESCUE_LOCK, self._lease_s, limit, LOST_LIMIT, budget_s=self._write_s
        )
        return [Job._make(row) for row in rows]

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come."""
        rows = await self._database.fetch("queue_due", DUE_LOCK, limit, budget_s=self._write_s)
        return {row["id"]: row["version"] for row in rows}

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Offer queued jobs again that younger ones of their queue have overtaken."""
        lanes, priorities = [lane for lane, _ in newest], [priority for _, priority in newest]
        rows = await self._database.fetch(
            "redispatch_overtaken", OVERTAKEN_LOCK, lanes, priorities, list(newest.values()), patience_s, 2_000,
            budget_s=self._write_s,
        )  # fmt: skip
        return int(rows[0][0])

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Offer queued jobs again whose queues have lost their messages."""
        lanes, priorities = [lane for lane, _ in queues], [priority for _, priority in queues]
        rows = await self._database.fetch(
            "redispatch_stranded", STRANDED_LOCK, lanes, priorities, patience_s, 2_000, budget_s=self._write_s
        )
        return int(rows[0][0])

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Offer those of these jobs again that are still queued."""
        rows = await self._database.fetch("redispatch_ids", ids, budget_s=self._write_s)
        return int(rows[0][0])

    async def database_identity(self) -> str:
        """Which database this is, and which of its histories."""
        return str((await self._database.fetch("database_identity", budget_s=self._read_s))[0][0])

    async def ping(self) -> None:
        """Raises ServerAway where PostgreSQL does not answer, takes no writes, or has refused one a moment ago."""
        if not (await self._database.fetch("ping", budget_s=self._read_s))[0][0]:
            raise ServerUnfit("postgresql", READ_ONLY)
        if refusal := self._database.refusal:
            raise refusal

    async def ask(self, query: str, *args: Any) -> list[Any]:
        """The rows of a statement by which a server is judged."""
        return await self._database.fetch(query, *args, budget_s=self._read_s)

    async def upsert_consumer(self, host: str, pid: int, lanes: Sequence[str]) -> None:
        """Leave a note for people that this consumer is here."""
        await self._database.fetch(
            "upsert_consumer", self._owner, host, pid, __version__, list(lanes), budget_s=self._write_s
        )


def _messages(rows: Sequence[Any]) -> tuple[Message, ...]:
    return tuple(
        Message(row["outbox_id"], row["lane"], row["priority"], tuple(row["ids"]))
        for row in rows
        if row["outbox_id"] is not None
    )
