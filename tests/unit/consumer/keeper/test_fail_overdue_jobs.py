"""What the keeper does for jobs that were not started in time."""

from __future__ import annotations

from typing import cast

from consumer.keeper.fail_overdue_jobs import FailOverdueJobs
from sluice.core.document import render
from sluice.core.job import Job
from sluice.core.ports import KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import finished_job


class Record:
    """Has these overdue jobs."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = list(jobs)

    async def fail_overdue(self, limit: int) -> list[Job]:
        jobs, self.jobs = self.jobs[:limit], self.jobs[limit:]
        return jobs


async def test_who_waits_for_an_overdue_job_hears_that_it_has_failed() -> None:
    jobs = [finished_job(state="failed", result=None, error=b'{"type":"deadline-passed"}') for _ in range(2)]
    cache, events = FakeCache(), Events()
    duty = FailOverdueJobs(cast(KeeperStore, Record(*jobs)), cache, Telemetry(events))
    assert [await duty.once() for _ in range(2)] == [2, 0]
    assert events == [(Event.FAILED, 2, {})]
    assert cache.documents == {job.id: render(job) for job in jobs}
    assert cache.announced == [{job.id: job.version for job in jobs}]
