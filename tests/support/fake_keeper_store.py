"""sluice.core.ports.KeeperStore in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from sluice.core.job import Job, JobState, Message
from sluice.core.lifecycle import LOST_LIMIT, WORKER_LOST
from tests.support.fake_record import FakeRecord

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

    async def rescue(self, limit: int) -> list[Job]:
        """Queue, fail or cancel what is silent."""
        self.check()
        lost = [self.jobs[each] for each in sorted(self.silent)][:limit]
        self.silent -= {job.id for job in lost}
        rescued = [self._rescue(job) for job in lost]
        self.send(job for job in rescued if job.state == JobState.QUEUED)
        return rescued

    async def queue_due(self, limit: int) -> dict[str, int]:
        """Queue scheduled jobs whose time has come."""
        self.check()
        scheduled = [job for job in self.jobs.values() if job.state == JobState.SCHEDULED]
        due = [job for job in scheduled if job.run_at and job.run_at <= self.now][:limit]
        queued = [self.change(job, state=JobState.QUEUED, queued_at=self.now) for job in due]
        self.send(queued)
        return {job.id: job.version for job in queued}

    async def redispatch_overtaken(
        self, newest: Mapping[tuple[str, str], datetime], patience_s: float
    ) -> int:
        """Send again what is older than the newest claim of its queue."""
        before = {queue: at - timedelta(seconds=patience_s) for queue, at in newest.items()}
        return self._send_again(before)

    async def redispatch_stranded(self, queues: Sequence[tuple[str, str]], patience_s: float) -> int:
        """Send again what has waited in these queues."""
        return self._send_again(dict.fromkeys(queues, self.now - timedelta(seconds=patience_s)))

    async def redispatch_ids(self, ids: Sequence[str]) -> int:
        """Send again what is queued."""
        self.check()
        return self._count_sent(self.jobs[each] for each in ids if each in self.jobs)

    async def fail_overdue(self, limit: int) -> list[Job]:
        """Fail what waits although its deadline has passed."""
        self.check()
        waiting = [job for job in self.jobs.values() if job.state in WAITING and self._is_overdue(job)]
        waiting.sort(key=lambda job: job.deadline or self.now)
        return [self._fail_overdue(job) for job in waiting[:limit]]

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
        return self.jobs[job.id]._replace(input=None)

    def _send_again(self, before: Mapping[tuple[str, str], datetime]) -> int:
        self.check()
        queued = [job for job in self.jobs.values() if (job.lane, job.priority) in before]
        old = [job for job in queued if job.queued_at and job.queued_at < before[job.lane, job.priority]]
        return self._count_sent(old)

    def _count_sent(self, jobs: Iterable[Job]) -> int:
        queued = [job for job in jobs if job.state == JobState.QUEUED]
        for job in queued:
            self.jobs[job.id] = job._replace(queued_at=self.now)
        self.send(queued)
        return len(queued)
