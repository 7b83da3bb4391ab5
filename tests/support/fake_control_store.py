"""sluice.core.ports.ControlStore in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sluice.core.access import OPERATOR, Actor
from sluice.core.job import TERMINAL, Job, JobState, Message
from sluice.core.job_log import MOST_CLAIMS, LogBlock
from sluice.core.lifecycle import Transition
from sluice.core.ports import AttemptRecord, Settled
from tests.support.fake_record import NO_JOB, FakeRecord


class FakeControlStore(FakeRecord):
    """A record in memory whose jobs clients can change."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: dict[str, list[AttemptRecord]] = {}
        self.logs: dict[str, dict[int, LogBlock]] = {}

    async def settle(self, transitions: Sequence[Transition]) -> list[Settled]:
        """As a record does that keeps attempts which did not succeed."""
        before = dict(self.jobs)
        settled = await super().settle(transitions)
        taken = {each[:3] for each in settled}
        for ending in transitions:
            if ending[:3] in taken and ending.log:
                logs = self.logs.setdefault(ending.id, {})
                logs[ending.fence] = ending.log
                logs.pop(ending.fence - MOST_CLAIMS, None)
            if ending[:3] in taken and ending.state != JobState.SUCCEEDED:
                job = before[ending.id]
                self.attempts.setdefault(job.id, []).append(
                    AttemptRecord(
                        job.fence,
                        job.attempt,
                        ending.outcome,
                        job.started_at,
                        self.now,
                        ending.error,
                        ending.traceback,
                    )
                )
        return settled

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel what has not begun, ask what runs to stop."""
        job = self._of(tenant, job_id)
        if job is None or job.state in TERMINAL:
            return None
        if job.cancel_requested_at:
            return job._replace(input=None, owner=None)
        if job.state == JobState.RUNNING:
            return self.change(job, cancel_requested_at=self.now)._replace(input=None, owner=None)
        ended = {"state": JobState.CANCELLED, "cancel_requested_at": self.now, "finished_at": self.now}
        return self.change(job, **ended)._replace(input=None, owner=None)

    async def retry(self, tenant: str, job_id: str, new_id: str) -> list[Message]:
        """A new job that tries a failed one again."""
        job = self._of(tenant, job_id)
        if job is None or job.state != JobState.FAILED or await self.find_retry(tenant, job_id):
            return []
        again = Job(
            new_id, *job[1:5], state=JobState.QUEUED, version=1, fence=0, attempt=0, max_attempts=job.max_attempts,
            crash_count=0, solo_crashes=0, timeout_s=job.timeout_s, deadline=None, run_at=None, queued_at=self.now,
            tags=job.tags, traceparent=job.traceparent, retry_of=job_id, fingerprint=job.fingerprint,
            cancel_requested_at=None, progress=None, created_at=self.now, started_at=None, finished_at=None,
            input=job.input,
        )  # fmt: skip
        self.jobs[new_id] = again
        return self.send([again])

    async def find_retry(self, tenant: str, job_id: str) -> Job | None:
        """The job that tries this one again."""
        self.check()
        found = (job for job in self.jobs.values() if (job.retry_of, job.tenant) == (job_id, tenant))
        again = next(found, None)
        return again and again._replace(input=None, owner=None)

    async def find_input(self, tenant: str, job_id: str) -> bytes | None:
        """The input as it was accepted."""
        job = self._of(tenant, job_id)
        return job and job.input

    async def delete_job(self, tenant: str, job_id: str, by: Actor = OPERATOR) -> bool:
        """Forget a finished job; its key stands for none from now on."""
        job = self._of(tenant, job_id)
        if job is None or job.state not in TERMINAL:
            return False
        del self.jobs[job_id]
        self.attempts.pop(job_id, None)
        self.logs.pop(job_id, None)
        for key, use in self.uses.items():
            if use.job_id == job_id:
                self.uses[key] = use._replace(job_id=NO_JOB)
        return True

    async def list_attempts(self, job_id: str) -> list[AttemptRecord]:
        """The newest attempts of a job that did not succeed, in order."""
        self.check()
        return self.attempts.get(job_id, [])[-200:]

    async def read_logs(self, job_id: str, first_fence: int, most: int) -> list[LogBlock]:
        """What was logged from this fence on."""
        self.check()
        found = (block for fence, block in self.logs.get(job_id, {}).items() if fence >= first_fence)
        return list(islice(found, most))

    def _of(self, tenant: str, job_id: str) -> Job | None:
        self.check()
        job = self.jobs.get(job_id)
        return job if job and job.tenant == tenant else None
