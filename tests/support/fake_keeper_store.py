"""sluice.core.ports.KeeperStore in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from sluice.core.job import Job, JobState, Message
from sluice.core.lifecycle import LOST_LIMIT, WORKER_LOST
from sluice.core.ports import Look
from sluice.core.queue_stats import LaneCount, Works
from tests.support.fake_record import FakeRecord

DEAD = "00000000-0000-4000-8000-00000000dead"
"""The lease of every job that is silent."""
WAITING = (JobState.SCHEDULED, JobState.QUEUED)


class FakeKeeperStore(FakeRecord):
    """A record in memory with the eyes of its keeper: `silent` are jobs whose lease ran out, `taken` messages put off."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: set[str] = set()
        self.taken: set[int] = set()

    async def take_due_messages(self, limit_ids: int) -> tuple[list[Message], int]:
        """Put off what is wanted, as far as so many ids go, and drop the rest."""
        self.check()
        due = [message for number, message in self.outbox.items() if number not in self.taken]
        dropped = self._drop([message for message in due if not self._is_wanted(message)])
        sums = accumulate(len(message.ids) for message in due)
        taken = [
            message
            for message, total in zip(due, sums, strict=True)
            if message.outbox_id in self.outbox and total <= max(limit_ids, len(message.ids))
        ]
        self.taken |= {message.outbox_id for message in taken}
        return taken, dropped

    async def drop_void_messages(self, after: int, limit: int) -> tuple[int, int]:
        """Walk on through the outbox."""
        self.check()
        seen = [self.outbox[number] for number in sorted(self.outbox) if number > after][:limit]
        dropped = self._drop([message for message in seen if not self._is_wanted(message)])
        return seen[-1].outbox_id if len(seen) == limit else 0, dropped

    async def take_dead_leases(self) -> list[str]:
        """Take the one lease there is, if there is a silent job under it."""
        self.check()
        return [DEAD] if self.silent else []

    async def find_held_jobs(self, leases: Sequence[str], *, own: bool = False) -> list[str]:
        """Find what is silent."""
        self.check()
        return sorted(self.silent) if DEAD in leases else []

    async def rescue(self, ids: Sequence[str], leases: Sequence[str]) -> list[Job]:
        """Queue, fail or cancel what is silent."""
        self.check()
        lost = [self.jobs[each] for each in sorted(self.silent & set(ids)) if DEAD in leases]
        self.silent -= {job.id for job in lost}
        rescued = [self._rescue(job) for job in lost]
        self.send(job for job in rescued if job.state == JobState.QUEUED)
        return rescued

    async def drop_leases(self, leases: Sequence[str]) -> None:
        """Forget them."""
        self.check()

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come."""
        self.check()
        scheduled = [job for job in self.jobs.values() if job.state == JobState.SCHEDULED]
        due = [job for job in scheduled if job.run_at and job.run_at <= self.now][:limit]
        queued = [self.change(job, state=JobState.QUEUED, queued_at=self.now) for job in due]
        self.send(queued)
        return {job.id: job.version for job in queued}

    async def offer_lost(self, newest: Mapping[tuple[str, str], datetime | None], limit: int) -> int:
        """Send again what is taken for lost."""
        self.check()
        lost = [job for job in self.jobs.values() if self._is_lost(job, newest)]
        return self._offer(sorted(lost, key=self.offered_until)[:limit])

    async def offer_ids(self, ids: Sequence[str]) -> int:
        """Send again what is queued."""
        self.check()
        return self._offer([self.jobs[each] for each in ids if each in self.jobs])

    async def look(self, rates: Mapping[str, float], idempotency_keep_s: float) -> Look:
        """Find nothing to do: what is to be done only the real record knows."""
        self.check()
        return Look((), 1)

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail what waits although its deadline has passed."""
        self.check()
        waiting = [job for job in self.jobs.values() if job.state in WAITING and self._is_overdue(job)]
        waiting.sort(key=lambda job: job.deadline or self.now)
        return [self._fail_overdue(job) for job in waiting[:limit]]

    async def prune_jobs(self, limit: int) -> list[str]:
        """Nothing is old here."""
        self.check()
        return []

    async def prune_batches(self, limit: int) -> int:
        """Nor are batches."""
        self.check()
        return 0

    async def prune_idempotency_keys(self, keep_s: float, limit: int) -> int:
        """Nor are keys."""
        self.check()
        return 0

    async def prune_audit(self, keep_s: float, limit: int) -> int:
        """Nor is what was written down."""
        self.check()
        return 0

    async def list_work(self, silent_s: float) -> list[Works]:
        """No consumer reports."""
        self.check()
        return []

    async def count(
        self, lanes: Sequence[str], most: int, at_least: int = 0, weighed: int = 0
    ) -> dict[str, LaneCount]:
        """Nobody counts here."""
        self.check()
        return {}

    def _is_wanted(self, message: Message) -> bool:
        return any(each in self.jobs and self.jobs[each].state == JobState.QUEUED for each in message.ids)

    def _drop(self, messages: Sequence[Message]) -> int:
        for message in messages:
            del self.outbox[message.outbox_id]
        return sum(len(message.ids) for message in messages)

    def _rescue(self, job: Job) -> Job:
        given_up = job.crash_count - job.solo_crashes + 1 >= LOST_LIMIT
        error = WORKER_LOST._replace(retryable=not given_up).to_json(job.kind, job.attempt)
        rescued = self.change(
            job, attempt=job.attempt - (not given_up), crash_count=job.crash_count + 1, progress=None, error=error
        )  # fmt: skip
        if job.cancel_requested_at or given_up:
            state = JobState.CANCELLED if job.cancel_requested_at else JobState.FAILED
            ended: dict[str, Any] = {"state": state, "finished_at": self.now}
        else:
            ended = {"state": JobState.QUEUED, "queued_at": self.now}
        self.jobs[job.id] = rescued._replace(**ended)
        return self.jobs[job.id]._replace(input=None, owner=None)

    def _is_lost(self, job: Job, newest: Mapping[tuple[str, str], datetime | None]) -> bool:
        queue = (job.lane, job.priority)
        if queue not in newest or not self.is_known(job, self.served) or job.lane in self.pauses:
            return False
        mark = newest[queue]
        if mark is not None and mark > self.now:
            return False
        return self.offered_until(job) < (mark or self.now + timedelta(seconds=50))

    def _offer(self, jobs: Iterable[Job]) -> int:
        queued = [job for job in jobs if job.state == JobState.QUEUED]
        for job in queued:
            self.offered[job.id] = self.now + timedelta(seconds=120)
        self.send(queued)
        return len(queued)
