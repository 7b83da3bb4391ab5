"""sluice.core.ports.SituationStore in memory."""

from __future__ import annotations

from sluice.core.explanation import MOST_AHEAD, Situation, Try
from sluice.core.job import Job, JobState
from tests.support.fake_control_store import FakeControlStore


class FakeSituationStore(FakeControlStore):
    """A record in memory that explains its jobs; `served` has the kinds of the one consumer, which serves `served_lanes`."""

    def __init__(self) -> None:
        super().__init__()
        self.served_lanes = {"default", "heavy"}

    async def find_situation(self, tenant: str, job_id: str) -> Situation | None:
        """As it stands."""
        self.check()
        job = self.jobs.get(job_id)
        if job is None or job.tenant != tenant:
            return None
        lane_served = job.lane in self.served_lanes
        return Situation(
            job._replace(input=None, result=None, error=None, owner=None),
            self.handler_versions.get(job_id, 1),
            self.pauses.get(job.lane),
            lane_served,
            self.served.get(job.kind) if lane_served else None,
            min(sum(self._is_before(each, job) for each in self.jobs.values()), MOST_AHEAD),
            [
                Try(each.attempt, each.outcome, each.started_at, each.finished_at)
                for each in self.attempts.get(job_id, [])
            ],
        )

    def _is_before(self, other: Job, job: Job) -> bool:
        queue = (job.lane, job.priority, JobState.QUEUED)
        same = (other.lane, other.priority, other.state) == queue and job.state == JobState.QUEUED
        return same and self.offered_until(other) < self.offered_until(job)
