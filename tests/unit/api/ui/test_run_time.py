"""For how long the dashboard says that a job has run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api.ui.pages.jobs import show_row
from api.ui.run_time import run_time_s
from sluice.core.job import JobState
from tests.unit.api.ui.conftest import Browser
from tests.unit.api.ui.test_dashboard_pages import submit

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_job_that_waits_for_another_attempt_does_not_run() -> None:
    assert run_time_s(False, BEGAN, None) is None
    assert run_time_s(False, None, None) is None
    assert run_time_s(False, BEGAN, BEGAN + timedelta(seconds=3)) == 3.0


def test_a_job_that_runs_has_run_until_now() -> None:
    told = run_time_s(True, datetime.now(UTC) - timedelta(minutes=2), None)
    assert told is not None
    assert 120 <= told < 180


async def test_pages_show_no_run_time_of_what_waits(browser: Browser) -> None:
    job_id = await submit(browser)
    jobs = browser.api.record.jobs
    jobs[job_id] = jobs[job_id]._replace(state=JobState.SCHEDULED, started_at=BEGAN)
    assert show_row(jobs[job_id])["ran_s"] is None
    assert show_row(jobs[job_id]._replace(state=JobState.RUNNING))["ran_s"] > 0
