"""Following the sample jobs of `make run` when the api is short of something for a moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from infra.local.sample_jobs import Sample
from infra.local.sample_run import _AGAIN, SampleRun, run_samples

SAMPLE = Sample("demo.sum", {"numbers": [1, 2]}, str)


class BusyApi(HTTPServer):
    """Refuses so many requests with 503, and then answers that the job has succeeded."""

    def __init__(self, refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.refusals = refusals
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: BusyApi

    def do_POST(self) -> None:
        """Note the idempotency key, and refuse or accept."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        busy = len(self.server.keys) <= self.server.refusals
        body = json.dumps({"title": "busy"} if busy else {"id": "job-1", "state": "succeeded"}).encode()
        self.send_response(503 if busy else 200)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy_api(request: pytest.FixtureRequest) -> Iterator[BusyApi]:
    """Serve an api that refuses as many requests as the test's parameter says."""
    with BusyApi(request.param) as api:
        thread = Thread(target=api.serve_forever)
        thread.start()
        yield api
        api.shutdown()
        thread.join()


async def _run(api: BusyApi) -> SampleRun:
    (run,) = await run_samples(api.url, "key", [SAMPLE], lambda _: None)
    return run


@pytest.mark.parametrize("busy_api", [0, _AGAIN], indirect=True)
async def test_a_submit_that_is_refused_for_a_moment_is_repeated_under_its_key(busy_api: BusyApi) -> None:
    assert (await _run(busy_api)).succeeded
    assert len(busy_api.keys) == busy_api.refusals + 1
    assert len(set(busy_api.keys)) == 1


@pytest.mark.parametrize("busy_api", [_AGAIN + 1], indirect=True)
async def test_a_submit_that_goes_on_being_refused_says_what_the_api_said(busy_api: BusyApi) -> None:
    run = await _run(busy_api)
    assert run.is_over
    assert "503" in run.problem
    assert "busy" in run.problem


@pytest.mark.parametrize("busy_api", [0], indirect=True)
@pytest.mark.parametrize(
    ("load", "said"),
    [
        (1.0, "still submitting after 0 s"),
        (99.0, "after 0 s: others use this machine (load 99 on 4 processors)"),
    ],
)
async def test_a_job_that_does_not_end_on_a_busy_machine_says_who_may_be_to_blame(
    busy_api: BusyApi, load: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    (run,) = await run_samples(busy_api.url, "key", [SAMPLE], lambda _: None, patience_s=0)
    assert said in run.problem
    assert ("others" in run.problem) == ("others" in said)
