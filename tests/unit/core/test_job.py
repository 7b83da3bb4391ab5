"""Jobs as accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from sluice.core.job import TERMINAL, JobState, NewJob, as_accepted

AT = datetime(2026, 1, 2, tzinfo=UTC)
NEW = NewJob("id", "acme", "demo.sum", "default", "high", b"{}", 3, 1.5, 600, 16, tags="a")


def test_a_job_is_queued_as_it_is_accepted() -> None:
    job = as_accepted(NEW, AT)
    assert (job.state, job.version, job.fence, job.attempt, job.created_at) == ("queued", 1, 0, 0, AT)
    assert (job.tenant, job.lane, job.priority, job.max_attempts, job.timeout_s) == (
        "acme",
        "default",
        "high",
        3,
        1.5,
    )
    assert (job.run_at, job.deadline, job.started_at, job.finished_at, job.tags) == (
        None,
        None,
        None,
        None,
        "a",
    )


def test_a_delayed_job_is_scheduled() -> None:
    job = as_accepted(NEW._replace(delay_s=60), AT)
    assert (job.state, job.run_at) == ("scheduled", AT + timedelta(seconds=60))


def test_a_deadline_counts_from_acceptance() -> None:
    assert as_accepted(NEW._replace(deadline_s=5), AT).deadline == AT + timedelta(seconds=5)


def test_a_delay_of_nothing_is_a_time_that_has_come() -> None:
    job = as_accepted(NEW._replace(delay_s=0), AT)
    assert (job.state, job.run_at, job.queued_at) == ("queued", AT, AT)


def test_a_time_that_has_passed_does_not_schedule() -> None:
    job = as_accepted(NEW._replace(run_at=AT - timedelta(days=1)), AT)
    assert (job.state, job.run_at) == ("queued", AT - timedelta(days=1))


def test_a_time_is_kept_in_utc_whatever_zone_it_was_given_in() -> None:
    given = (AT + timedelta(hours=1)).astimezone(timezone(timedelta(hours=5)))
    run_at = as_accepted(NEW._replace(run_at=given), AT).run_at
    assert run_at is not None
    assert (run_at, run_at.utcoffset()) == (AT + timedelta(hours=1), timedelta(0))


def test_three_states_are_terminal() -> None:
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == TERMINAL
