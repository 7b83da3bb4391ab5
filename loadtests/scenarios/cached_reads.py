"""Clients that look at a finished job again and again: the answer comes from a cache, and mostly nothing has changed."""

from __future__ import annotations

from locust import constant_throughput, task

from loadtests import config
from loadtests.scenarios.api_user import ApiUser

READ, UNCHANGED = "poll of a finished job, 200", "poll of a finished job, 304"


class CachedReads(ApiUser):
    """Runs a job of its own once, then reads it in full and by ETag in turns."""

    weight = 4
    rows = (READ, UNCHANGED)
    wait_time = constant_throughput(config.READS_PER_S)
    _path = _etag = ""
    _whole = False

    @task
    def look(self) -> None:
        """Poll once."""
        if not self._path:
            self._run_a_job()
            return
        self._whole = not self._whole
        if self._whole:
            self.ask("GET", self._path, READ, (200,))
        else:
            self.ask("GET", self._path, UNCHANGED, (304,), headers={"If-None-Match": self._etag})

    def _run_a_job(self) -> None:
        answer, _ = self.submit("submit of what is read", (200,), Prefer="wait=20")
        if answer is not None:
            self._path, self._etag = answer.document["links"]["self"], answer.etag
