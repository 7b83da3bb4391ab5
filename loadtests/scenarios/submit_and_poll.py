"""Clients that poll longer jobs, when the server advises and only for changes."""

from __future__ import annotations

from time import perf_counter

from locust import constant_throughput, task

from loadtests import config
from loadtests.scenarios.api_user import ApiUser
from loadtests.verdict import POLL, POLLED

SUBMIT = "submit"


class SubmitAndPoll(ApiUser):
    """Submits, comes back after Retry-After, and asks with the ETag it knows."""

    rows = (SUBMIT, POLL, POLLED)
    wait_time = constant_throughput(config.POLLED_JOBS_PER_S)

    @task
    def run_a_job(self) -> None:
        """Run one job."""
        began = perf_counter()
        answer, total = self.submit(SUBMIT, (202,))
        if answer is not None:
            self.report(POLLED, began, self.follow(answer), total)
