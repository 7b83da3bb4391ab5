"""The record in memory: sluice.core.ports.JobStore under the guards of the real statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from sluice.core.errors import ServerAway, TryAgain
from sluice.core.job import TERMINAL, Accepted, IdempotencyKeyUse, Job, JobState, Message, NewJob, as_accepted
from sluice.core.lanes import WEIGHTS
from sluice.core.lifecycle import DEADLINE_PASSED, Transition
from sluice.core.ports import JobVersion, KnownVersion, Settled
from sluice.core.queue_stats import LanePause
from tests.support.make_jobs import AT

LONGEST_CLAIMED, SHORT_RESULT, MOST_RESULTS = 65_536, 16_384, 4 << 20
NO_JOB = "00000000-0000-0000-0000-000000000000"


class FakeRecord:
    """Jobs of one process in memory. `now` is its clock; `away` makes every call fail as if PostgreSQL were gone, or with this error."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.flights: set[str] = set()
        self.uses: dict[tuple[str, str], IdempotencyKeyUse] = {}
        self.outbox: dict[int, Message] = {}
        self.owned: set[str] = set()
        self.locked: set[str] = set()
        self.lease = uuid4()
        self.offered: dict[str, datetime] = {}
        self.served = {"demo.sum": 1, "demo.sleep": 1}
        self.pauses: dict[str, LanePause] = {}
        self.handler_versions: dict[str, int] = {}
        self.now = AT
        self.away: bool | Exception = False
        self.refusals = 0
        self._rows = count(1)

    async def accept(self, jobs: Sequence[NewJob], *, whole: bool = False) -> Accepted:
        """Every job but those whose work is under way or done, or whose key is taken; or none, if any of them is."""
        self.check()
        before = dict(self.jobs), dict(self.uses), set(self.flights), dict(self.handler_versions)
        accepted = [new for new in sorted(jobs, key=_order) if self._accept(new)]
        if whole and len(accepted) < len(jobs):
            self.jobs, self.uses, self.flights, self.handler_versions = before
            raise TryAgain("skipped")
        queued = [new for new in accepted if self.jobs[new.id].state == JobState.QUEUED]
        return Accepted(self.now, frozenset(new.id for new in accepted), tuple(self._send(queued)))

    async def find_same(self, wanted: Mapping[bytes, float]) -> dict[bytes, Job]:
        """The newest success of each fingerprint that is young enough, or else its unfinished job."""
        self.check()
        same = {each: self._success(each, age) or self._flight(each) for each, age in wanted.items()}
        jobs = _bounded(_shown(job) for job in same.values() if job)
        return {each: jobs[job.id] for each, job in same.items() if job}

    async def find_idempotency_keys(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], IdempotencyKeyUse]:
        """What these keys stand for."""
        self.check()
        return {each: self.uses[each] for each in keys if each in self.uses}

    async def bind_idempotency_key(self, tenant: str, key: str, use: IdempotencyKeyUse) -> bool:
        """Where the key is free, or its job never came."""
        self.check()
        known = self.uses.setdefault((tenant, key), use)
        if known is use:
            return True
        if known.job_id in (NO_JOB, *self.jobs) or known.request_hash != use.request_hash:
            return False
        self.uses[tenant, key] = use
        return True

    async def look_up(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id."""
        self.check()
        return _bounded(_shown(self.jobs[each]) for each in set(ids) if each in self.jobs)

    async def look_at(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id, without their results."""
        self.check()
        return {each: _shown(self.jobs[each])._replace(result=None) for each in ids if each in self.jobs}

    async def find_changed(self, known: Sequence[KnownVersion]) -> list[JobVersion | None]:
        """How they stand, and those that are not as known."""
        self.check()
        jobs = {each.id: self.jobs[each.id] for each in known if each.id in self.jobs}
        changed = [each for each in known if each.id in jobs and jobs[each.id].version != each.version]
        read = _bounded((_shown(jobs[each.id]) for each in changed), short=0)
        return [
            _standing(jobs[each.id], read[each.id] if each in changed else None)
            if each.id in jobs and jobs[each.id].tenant == each.tenant
            else None
            for each in known
        ]

    async def dispatched(self, outbox_ids: Sequence[int]) -> None:
        """Forget these messages."""
        self.check()
        for each in outbox_ids:
            self.outbox.pop(each, None)

    async def claim(
        self, ids: Sequence[str], kinds: Mapping[str, int], *, skip_locked: bool = False
    ) -> list[Job]:
        """Queued jobs of these kinds, up to their versions, that are not overdue."""
        self.check()
        if not skip_locked and self.locked.intersection(ids):
            raise TryAgain("locked")
        found = [self.jobs[each] for each in sorted(ids) if each in self.jobs and each not in self.locked]
        return [self._claim(job, kinds) for job in found if self._may_be_had(job, kinds)]

    async def read_input(self, job_id: str) -> bytes:
        """An input of any size."""
        self.check()
        return self.jobs[job_id].input or b"" if job_id in self.jobs else b""

    async def defer_unclaimed(self, ids: Sequence[str], kinds: Mapping[str, int]) -> list[Job]:
        """Fail the overdue; offer what is of another kind to others that serve it."""
        self.check()
        queued = [self.jobs[each] for each in ids if each in self.jobs and _is_queued(self.jobs[each])]
        overdue = [job for job in queued if self._is_overdue(job)]
        strange = [job for job in queued if job not in overdue and not self.is_known(job, kinds)]
        self.send([job for job in strange if self.is_known(job, self.served)])
        self.offered |= {job.id: self.now for job in strange if not self.is_known(job, self.served)}
        return [self._fail_overdue(job) for job in overdue]

    async def recover_lost_claims(self, ids: Sequence[str]) -> list[Job]:
        """What runs under our name."""
        self.check()
        held = [self.jobs[each] for each in ids if each in self.owned]
        return [_claimed(job) for job in held if job.state == JobState.RUNNING]

    async def pull(
        self, lane: str, limit: int, kinds: Mapping[str, int], turns: Mapping[str, int]
    ) -> list[Job]:
        """The oldest queued jobs of these kinds, in turns; the overdue fail. Nothing of a lane that is paused."""
        self.check()
        if lane in self.pauses:
            return []
        mine = [job for job in self.jobs.values() if job.lane == lane and self.is_known(job, kinds)]
        waiting = sorted(filter(_is_queued, mine), key=self.offered_until)
        rounds: list[tuple[int, int, Job]] = []
        for rank, (priority, had) in enumerate(turns.items()):
            same = [job for job in waiting if job.priority == priority]
            rounds += [((had + place) // WEIGHTS[priority], rank, job) for place, job in enumerate(same)]
        chosen = [job for *_, job in sorted(rounds, key=lambda each: each[:2])[:limit]]
        return [
            self._fail_overdue(job) if self._is_overdue(job) else self._claim(job, kinds) for job in chosen
        ]

    async def recover_lane_claims(self, lane: str, kinds: Mapping[str, int]) -> list[Job]:
        """What runs under our name in this lane."""
        held = await self.recover_lost_claims(list(self.jobs))
        return [job for job in held if job.lane == lane and self.is_known(job, kinds)]

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """Endings, guarded by fence and state."""
        self.check()
        return [
            self._settle(each) for each in transitions if self._holds(each) and each.id not in self.locked
        ]

    def add(self, job: Job, **changes: Any) -> str:
        """A job as it stands; returns its id."""
        self.jobs[job.id] = job._replace(**changes)
        if job.fingerprint:
            self.flights.add(job.id)
        return job.id

    def succeed(self, job_id: str, result: bytes = b'{"total":3}') -> None:
        """As a consumer would."""
        self.change(self.jobs[job_id], state=JobState.SUCCEEDED, result=result, finished_at=self.now)

    def change(self, job: Job, **changes: Any) -> Job:
        """A new version of a job."""
        self.jobs[job.id] = job._replace(version=job.version + 1, **changes)
        return self.jobs[job.id]

    def send(self, jobs: Iterable[Job]) -> list[Message]:
        """One message for each lane and priority."""
        by_queue = defaultdict(list)
        for job in jobs:
            by_queue[job.lane, job.priority].append(job.id)
        return [self._put(lane, priority, ids) for (lane, priority), ids in by_queue.items()]

    def offered_until(self, job: Job) -> datetime:
        """When the newest offer of a job ends."""
        return self.offered.get(job.id) or (job.queued_at or self.now) + timedelta(seconds=60)

    def is_known(self, job: Job, kinds: Mapping[str, int]) -> bool:
        """Whether a job is of one of these kinds, and of no newer version."""
        return self.handler_versions.get(job.id, 1) <= kinds.get(job.kind, 0)

    def check(self) -> None:
        """Raises what a record that is away raises, and counts how often."""
        if self.away:
            self.refusals += 1
            raise (
                self.away.with_traceback(None)
                if isinstance(self.away, Exception)
                else ServerAway("postgresql")
            )

    def _accept(self, new: NewJob) -> bool:
        use = IdempotencyKeyUse(new.request_hash or b"", new.id)
        if new.key and self.uses.setdefault((new.tenant, new.key), use).job_id != new.id:
            return False
        if new.id in self.jobs or (new.flight and self._is_same(new)):
            return False
        self.jobs[new.id] = as_accepted(new, self.now)._replace(input=new.input)
        self.handler_versions[new.id] = new.handler_version
        if new.flight:
            self.flights.add(new.id)
        return True

    def _is_same(self, new: NewJob) -> bool:
        """Whether this work is under way, or was done not long ago."""
        fingerprint = new.fingerprint or b""
        return bool(self._flight(fingerprint) or self._success(fingerprint, new.fresh_s or 0))

    def _success(self, fingerprint: bytes, fresh_s: float) -> Job | None:
        """The newest; of two that ended at once the one that came later."""
        since = self.now - timedelta(seconds=fresh_s)
        done = [
            (job.finished_at, place, job)
            for place, job in enumerate(self.jobs.values())
            if job.fingerprint == fingerprint
            and job.state == JobState.SUCCEEDED
            and job.finished_at
            and job.finished_at > since
        ]
        return max(done)[-1] if done else None

    def _flight(self, fingerprint: bytes) -> Job | None:
        mine = (self.jobs[each] for each in self.flights if each in self.jobs)
        return next(
            (job for job in mine if job.fingerprint == fingerprint and job.state not in TERMINAL), None
        )

    def _send(self, new: Sequence[NewJob]) -> Iterable[Message]:
        """Messages of so many ids at most."""
        by_queue: defaultdict[tuple[str, str, int], list[str]] = defaultdict(list)
        for each in new:
            by_queue[each.lane, each.priority, each.ids_per_message].append(each.id)
        for (lane, priority, size), ids in by_queue.items():
            for start in range(0, len(ids), size):
                yield self._put(lane, priority, ids[start : start + size])

    def _put(self, lane: str, priority: str, ids: Sequence[str]) -> Message:
        message = Message(next(self._rows), lane, priority, tuple(ids))
        self.outbox[message.outbox_id] = message
        return message

    def _may_be_had(self, job: Job, kinds: Mapping[str, int]) -> bool:
        return _is_queued(job) and self.is_known(job, kinds) and not self._is_overdue(job)

    def _is_overdue(self, job: Job) -> bool:
        return job.deadline is not None and job.deadline <= self.now

    def _claim(self, job: Job, kinds: Mapping[str, int]) -> Job:
        self.owned.add(job.id)
        own = self.handler_versions.get(job.id, 1) == kinds[job.kind]
        self.flights -= set() if own else {job.id}
        return _claimed(
            self.change(
                job,
                state=JobState.RUNNING,
                fence=job.fence + 1,
                owner=self.lease,
                attempt=job.attempt + 1,
                started_at=self.now,
                fingerprint=job.fingerprint if own else None,
            )
        )

    def _fail_overdue(self, job: Job) -> Job:
        error = DEADLINE_PASSED.to_json(job.kind, job.attempt)
        return _shown(self.change(job, state=JobState.FAILED, error=error, finished_at=self.now))

    def _holds(self, ending: Transition) -> bool:
        job = self.jobs.get(ending.id)
        return job is not None and (job.state, job.claim) == (JobState.RUNNING, ending[:3])

    def _settle(self, ending: Transition) -> Settled:
        job = self.jobs[ending.id]
        cancelled = job.cancel_requested_at is not None
        state = JobState.CANCELLED if cancelled else ending.state
        job = self.change(
            job,
            state=state,
            result=None if cancelled else ending.result,
            error=None if ending.outcome == "postponed" else ending.error,
            attempt=job.attempt - ending.uncounted,
            crash_count=job.crash_count + ending.solo_crash,
            solo_crashes=job.solo_crashes + ending.solo_crash,
            run_at=self._later(ending.delay_s) if ending.state == JobState.SCHEDULED else job.run_at,
            queued_at={JobState.QUEUED: self.now, JobState.SCHEDULED: None}.get(ending.state, job.queued_at),
            finished_at=self.now if state in TERMINAL else None,
            progress=None,
            owner=None,
        )
        self.send([job] if state == JobState.QUEUED else [])
        return Settled(*ending[:3], job.state, job.version, job.finished_at)

    def _later(self, delay_s: float | None) -> datetime:
        return self.now + timedelta(seconds=delay_s or 0)


def _order(new: NewJob) -> tuple[bytes, str]:
    """In which the statement inserts."""
    return new.fingerprint or b"", new.id


def _is_queued(job: Job) -> bool:
    return job.state == JobState.QUEUED


def _shown(job: Job) -> Job:
    """As statements read it that show a job: without its input."""
    return job._replace(input=None, owner=None)


def _claimed(job: Job) -> Job:
    """As statements read it that hand out a job to run."""
    given = job.input if len(job.input or b"") <= LONGEST_CLAIMED else None
    return job._replace(input=given, result=None, error=None)


def _standing(job: Job, read: Job | None) -> JobVersion:
    since = {JobState.QUEUED: job.queued_at, JobState.SCHEDULED: job.run_at}
    return JobVersion(job.version, job.state, job.lane, since.get(JobState(job.state), job.started_at), read)


def _bounded(jobs: Iterable[Job], short: int = SHORT_RESULT) -> dict[str, Job]:
    """These jobs by id, without the results that would be too many, unless they are short."""
    found, size = {}, 0
    for job in sorted(jobs, key=lambda job: job.id):
        length = len(job.result or b"")
        found[job.id] = job if length <= short or size < MOST_RESULTS else job._replace(result=None)
        size += length
    return found
