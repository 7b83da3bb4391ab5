"""What the keeper does for jobs that were not started in time."""

from __future__ import annotations

from datetime import timedelta

from consumer.keeper.fail_overdue_jobs import FailOverdueJobs
from sluice.core.document import render
from sluice.core.job import as_accepted
from sluice.core.lifecycle import DEADLINE_PASSED
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import Events, FakeCache
from tests.support.make_jobs import AT, new_jobs


async def test_who_waits_for_an_overdue_job_hears_that_it_has_failed() -> None:
    record, cache, events = FakeKeeperStore(), FakeCache(), Events()
    for new in new_jobs(2, deadline_s=60):
        record.add(as_accepted(new, AT))
    record.now = AT + timedelta(seconds=60)
    duty = FailOverdueJobs(record, cache, Telemetry(events))
    assert [await duty.once() for _ in range(2)] == [2, 0]
    assert [(event, count) for event, count, _ in events] == [(Event.FAILED, 1)] * 2
    assert {fields["job_id"] for fields in events.fields(Event.FAILED)} == set(record.jobs)
    said = {"kind": "demo.sum", "attempt": 0, "type": "deadline-passed", "error": DEADLINE_PASSED.title}
    assert all(fields.items() >= said.items() for fields in events.fields(Event.FAILED))
    assert {job.state for job in record.jobs.values()} == {"failed"}
    assert cache.documents == {job.id: render(job) for job in record.jobs.values()}
    assert cache.announced == [{job.id: job.version for job in record.jobs.values()}]
