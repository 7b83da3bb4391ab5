"""The record for submit, look-up and execution: one method per statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.store import Store, messages_of
from sluice.core.errors import BadRow, TryAgain
from sluice.core.job import Accepted, IdempotencyKeyUse, Job, NewJob
from sluice.core.job_log import MOST_CLAIMS
from sluice.core.lanes import WEIGHTS
from sluice.core.lifecycle import Transition
from sluice.core.owner import Owner, claim_holds_s
from sluice.core.ports import JobVersion, KnownVersion, Settled
from sluice.core.runtime.settings import Settings

SHORT_INPUT = 256
"""Bytes of an input that is stored with its job; a longer one has a row of its own, so that changes of the job do not copy it."""
STORED_PER_S = 8 * 1024 * 1024
"""Bytes of inputs that even a busy PostgreSQL stores in a second: an accept may take so much longer."""
MOST_RUNNING = 20_000
"""Jobs of one queue that run at the same time, at the very most."""


class PostgresJobStore(Store):
    """Implements sluice.core.ports.JobStore, where its methods are described."""

    def __init__(self, database: Database, owner: Owner, settings: Settings) -> None:
        super().__init__(database)
        self._owner = owner
        self._read_s, self._accept_s = settings.record_budget_s, settings.accept_budget_s
        self._hold_s, self._due_s = claim_holds_s(settings.lease_s), settings.dispatch_due_s

    async def accept(self, jobs: Sequence[NewJob], *, whole: bool = False) -> Accepted:
        budget_s = self._accept_s + sum(len(job.input) for job in jobs) / STORED_PER_S
        *fields, webhooks = zip(*jobs, strict=True)
        try:
            rows = await self._database.commit(
                "accept", *fields, self._due_s, SHORT_INPUT, whole, webhooks, budget_s=budget_s
            )
        except BadRow as error:
            if isinstance(error.__cause__, asyncpg.DivisionByZeroError):
                raise TryAgain("some of the jobs were skipped") from error
            raise
        at = rows[0]["at"] if rows else datetime.now(UTC)
        ids = frozenset(each for row in rows for each in row["ids"])
        return Accepted(at, ids, messages_of(rows))

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        prints, ages = list(wanted), list(wanted.values())
        jobs = await self.ask_jobs("find_same_work", prints, ages, budget_s=self._read_s)
        return {job.fingerprint: job for job in jobs if job.fingerprint}

    async def find_idempotency_keys(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], IdempotencyKeyUse]:
        rows = await self.ask("find_idempotency_keys", *zip(*keys, strict=True), budget_s=self._read_s)
        return {(tenant, key): IdempotencyKeyUse(*use) for tenant, key, *use in rows}

    async def bind_idempotency_key(self, tenant: str, key: str, use: IdempotencyKeyUse) -> bool:
        values = (tenant, key, *use)
        kept = await self.ask("bind_idempotency_key", *values, budget_s=self._accept_s)
        return bool(kept or await self.ask("repoint_idempotency_key", *values, budget_s=self._accept_s))

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        return {job.id: job for job in await self.ask_jobs("find_jobs", ids, budget_s=self._read_s)}

    async def look_at(self, ids: Sequence[str]) -> dict[str, Job]:
        return {job.id: job for job in await self.ask_jobs("look_at", ids, budget_s=self._read_s)}

    async def find_changed(self, known: Sequence[KnownVersion]) -> list[JobVersion | None]:
        tenants, ids, versions = zip(*known, strict=True)
        rows = await self.ask("find_changed", ids, versions, tenants, budget_s=self._read_s)
        found: list[JobVersion | None] = [None] * len(known)
        for position, version, state, lane, since, *job in rows:
            read = Job(*job) if job[0] is not None else None
            found[position - 1] = JobVersion(version, state, lane, since, read)
        return found

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        await self.ask("delete_dispatched", outbox_ids)

    async def claim(
        self, ids: Sequence[str], kinds: Mapping[str, int], *, skip_locked: bool = False
    ) -> list[Job]:
        query = "claim_unlocked" if skip_locked else "claim"
        return await self._ask_mine(query, ids, list(kinds), self._hold_s, list(kinds.values()))

    async def recover_lost_claims(self, ids: Sequence[str]) -> list[Job]:
        return await self._ask_mine("recover_lost_claims", ids)

    async def read_input(self, job_id: str) -> bytes:
        rows = await self.ask("read_input", job_id)
        return bytes(rows[0]["input"]) if rows else b""

    async def defer_unclaimed(self, ids: Sequence[str], kinds: Mapping[str, int]) -> list[Job]:
        return await self.ask_jobs("defer_unclaimed", ids, list(kinds), list(kinds.values()))

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        *columns, logs = zip(*transitions, strict=True)
        if any(logs):
            lines, first = [log and log.lines for log in logs], [log and log.first for log in logs]
            rows = await self.ask("settle_logged", *columns, lines, first, MOST_CLAIMS)
        else:
            rows = await self.ask("settle", *columns)
        return [Settled._make(row) for row in rows]

    async def pull(
        self, lane: str, limit: int, kinds: Mapping[str, int], turns: Mapping[str, int]
    ) -> list[Job]:
        known = (list(kinds), self._hold_s, list(kinds.values()))
        weights = [WEIGHTS[priority] for priority in turns]
        return await self._ask_mine("poll", [lane], *known, limit, list(turns), weights, list(turns.values()))

    async def recover_lane_claims(self, lane: str, kinds: Mapping[str, int]) -> list[Job]:
        known = (list(kinds), MOST_RUNNING, list(kinds.values()))
        return await self._ask_mine("recover_lane_claims", [lane], *known)

    async def _ask_mine(self, query: str, what: Sequence[str], *more: Any) -> list[Job]:
        """Ask for jobs under the lease of this process. Raises LeaseOver if that was replaced meanwhile."""
        lease = self._owner.id
        rows = await self.ask(query, what, lease, *more)
        self._owner.require(lease)
        return [Job._make((*row, lease)) for row in rows]
