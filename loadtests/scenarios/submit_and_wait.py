"""Clients whose short jobs are answered in the request that submits them."""

from __future__ import annotations

from time import perf_counter

from locust import constant_throughput, task

from loadtests import config
from loadtests.scenarios.api_user import ApiUser

SUBMIT, DONE = "submit, Prefer: wait", "submit and wait"


class SubmitAndWait(ApiUser):
    """Submits, and waits in the request until the result is there."""

    rows = (SUBMIT, DONE)
    wait_time = constant_throughput(config.WAITS_PER_S)

    @task
    def run_a_job(self) -> None:
        """Run one job. A server with too many waiters answers at once; then this polls like others."""
        began = perf_counter()
        answer, total = self.submit(SUBMIT, (200, 202), Prefer="wait=20")
        if answer is not None:
            self.report(DONE, began, self.follow(answer), total)
