"""A record in memory that fails on demand: it refuses a call, loses the reply to one, or keeps one waiting."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.core.errors import ServerAway
from sluice.core.job import Accepted, IdempotencyKeyUse, Job, JobState, Message, NewJob, as_accepted
from sluice.core.lanes import WEIGHTS
from sluice.core.lifecycle import Transition
from sluice.core.ports import Settled

AT = datetime(2026, 1, 2, tzinfo=UTC)

Call = Callable[[], Awaitable[Any]]
Step = Callable[[Call], Awaitable[Any]]


def refused(error: Exception | None = None) -> Step:
    """The call fails and has done nothing."""

    async def step(_: Call) -> Any:
        raise error or ServerAway("postgresql")

    return step


def lost(error: Exception | None = None) -> Step:
    """The call does its work, and its reply is lost."""

    async def step(call: Call) -> Any:
        await call()
        raise error or ServerAway("postgresql")

    return step


class Gate:
    """A call that waits until it is let through; `reached` says that it has come."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, call: Call) -> Any:
        self.reached.set()
        await self.open.wait()
        return await call()


class FaultyStore:
    """Stands in front of a record: `script["claim"]` holds what happens at the next calls of `claim`, in turn."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.script: defaultdict[str, deque[Step]] = defaultdict(deque)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._moved = asyncio.Condition()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            step = self.script[name].popleft() if self.script[name] else _plainly
            try:
                return await step(lambda: getattr(self.record, name)(*args))
            finally:
                self.calls[name] += 1
                async with self._moved:
                    self._moved.notify_all()

        return call

    async def called(self, name: str, times: int = 1) -> None:
        """Return once a method was called so often."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.calls[name] >= times)


async def _plainly(call: Call) -> Any:
    return await call()


class FaultyRecord:
    """Jobs in memory under the guards of the real statements: state, fence, kinds, deadline, single flight, keys."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.uses: dict[tuple[str, str], IdempotencyKeyUse] = {}
        self.owned: set[str] = set()
        self.put_off: list[str] = []
        self.now = AT

    async def accept(self, jobs: Sequence[NewJob]) -> Accepted:
        """Every job but those whose work is under way or whose key is taken."""
        ids = tuple(new.id for new in jobs if self._accepted(new))
        return Accepted(self.now, frozenset(ids), (Message(1, "default", "normal", ids),) if ids else ())

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        """The success of each fingerprint that is young enough, or else its unfinished job."""
        same = {each: self._result(each, age) or self._twin(each) for each, age in wanted.items()}
        return {each: job for each, job in same.items() if job}

    async def find_idempotency_keys(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], IdempotencyKeyUse]:
        """What these keys stand for."""
        return {each: self.uses[each] for each in keys if each in self.uses}

    async def bind_idempotency_key(self, tenant: str, key: str, use: IdempotencyKeyUse) -> bool:
        """Where the key is free, or its job never came."""
        known = self.uses.setdefault((tenant, key), use)
        if known.job_id in self.jobs or known.request_hash != use.request_hash:
            return known is use
        self.uses[tenant, key] = use
        return True

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id."""
        return {each: self.jobs[each] for each in ids if each in self.jobs}

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """There is no outbox here."""

    async def claim(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Queued jobs of these kinds that are not overdue."""
        return [self._claimed(each) for each in sorted(ids) if self._may_be_had(each, kinds)]

    async def defer_unclaimed(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Job]:
        """Fail the overdue, put off what is of another kind."""
        queued = [self.jobs[each] for each in ids if each in self.jobs and self._queued(each)]
        overdue = [job for job in queued if self._overdue(job)]
        self.put_off += [job.id for job in queued if job.kind not in kinds and job not in overdue]
        return [self._changed(job, state=JobState.FAILED, error=b"{}") for job in overdue]

    async def recover_lost_claims(self, ids: Sequence[str]) -> list[Job]:
        """What runs under our name."""
        return [
            self.jobs[each]
            for each in ids
            if each in self.owned and self.jobs[each].state == JobState.RUNNING
        ]

    async def pull(self, lane: str, limit: int, kinds: Sequence[str], turns: Mapping[str, int]) -> list[Job]:
        """The oldest queued jobs of these kinds, in turns; the overdue fail."""
        mine = [job for job in self.jobs.values() if job.lane == lane and job.kind in kinds]
        waiting = [job for job in mine if self._queued(job.id)]
        waiting.sort(key=lambda job: (job.queued_at or self.now, job.id))
        rounds: list[tuple[int, int, str]] = []
        for rank, (priority, had) in enumerate(turns.items()):
            same = [job.id for job in waiting if job.priority == priority]
            rounds += [((had + place) // WEIGHTS[priority], rank, each) for place, each in enumerate(same)]
        chosen = [self.jobs[each] for *_, each in sorted(rounds, key=lambda each: each[:2])[:limit]]
        return [
            self._changed(job, state=JobState.FAILED, error=b"{}", finished_at=self.now)
            if self._overdue(job)
            else self._claimed(job.id)
            for job in chosen
        ]

    async def recover_lane_claims(self, lane: str) -> list[Job]:
        """What runs under our name in this lane."""
        return [job for job in await self.recover_lost_claims(list(self.jobs)) if job.lane == lane]

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """Endings, guarded by fence and state."""
        return [self._settled(each) for each in transitions if self._holds(each)]

    def add(self, job: Job, **changes: Any) -> str:
        """A job as it stands; returns its id."""
        self.jobs[job.id] = job._replace(**changes)
        return job.id

    def succeed(self, job_id: str, result: bytes = b'{"total":3}') -> None:
        """As a consumer would."""
        self._changed(self.jobs[job_id], state=JobState.SUCCEEDED, result=result, finished_at=self.now)

    def _result(self, own: bytes | None, fresh_s: float | None) -> Job | None:
        young = self.now - timedelta(seconds=fresh_s or 0)
        done = [
            job for job in self.jobs.values() if job.fingerprint == own and job.result and job.finished_at
        ]
        return next((job for job in reversed(done) if job.finished_at and job.finished_at > young), None)

    def _twin(self, own: bytes | None) -> Job | None:
        waiting = (JobState.QUEUED, JobState.RUNNING)
        return next(
            (job for job in self.jobs.values() if job.fingerprint == own and job.state in waiting), None
        )

    def _accepted(self, new: NewJob) -> bool:
        use = IdempotencyKeyUse(new.request_hash or b"", new.id)
        if new.key and self.uses.setdefault((new.tenant, new.key), use).job_id != new.id:
            return False
        if new.id in self.jobs or (new.flight and self._twin(new.fingerprint)):
            return False
        self.jobs[new.id] = as_accepted(new, self.now)._replace(input=new.input)
        return True

    def _queued(self, job_id: str) -> bool:
        return self.jobs[job_id].state == JobState.QUEUED

    def _overdue(self, job: Job) -> bool:
        return job.deadline is not None and job.deadline <= self.now

    def _may_be_had(self, job_id: str, kinds: Sequence[str]) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and self._queued(job_id) and job.kind in kinds and not self._overdue(job)

    def _claimed(self, job_id: str) -> Job:
        job = self.jobs[job_id]
        self.owned.add(job_id)
        return self._changed(
            job, state=JobState.RUNNING, fence=job.fence + 1, attempt=job.attempt + 1, started_at=self.now
        )

    def _holds(self, ending: Transition) -> bool:
        job = self.jobs.get(ending.id)
        return job is not None and (job.state, job.fence) == (JobState.RUNNING, ending.fence)

    def _settled(self, ending: Transition) -> Settled:
        job = self.jobs[ending.id]
        state = JobState.CANCELLED if job.cancel_requested_at else ending.state
        done = self.now if state in ("succeeded", "failed", "cancelled") else None
        job = self._changed(job, state=state, finished_at=done, result=ending.result, error=ending.error)
        return Settled(job.id, job.fence, job.state, job.version, job.finished_at)

    def _changed(self, job: Job, **changes: Any) -> Job:
        self.jobs[job.id] = job._replace(version=job.version + 1, **changes)
        return self.jobs[job.id]
