"""The script of `helm test`, against a real api and consumer."""

from __future__ import annotations

import os
import subprocess
import sys

from infra.checks.manifests import CHART
from tests.support.stack import Stack

SCRIPT = CHART / "files/smoke_test.py"
SUM = '{"kind": "demo.sum", "input": {"values": [1, 2, 3]}}'


def run(url: str, key: str, job: str = SUM, wait_s: str = "60") -> subprocess.CompletedProcess[str]:
    """Run it as the chart does."""
    env = {
        "PATH": os.environ["PATH"],
        "SLUICE_URL": url,
        "SLUICE_API_KEY": key,
        "SMOKE_JOB": job,
        "SMOKE_WAIT_S": wait_s,
    }
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.read_text()], env=env, capture_output=True, text=True, check=False
    )


def test_a_job_that_succeeds_passes_and_is_shown(shared_stack: Stack) -> None:
    done = run(shared_stack.url, shared_stack.key)
    assert done.returncode == 0, done.stderr
    assert '"state":"succeeded"' in done.stdout


def test_a_job_that_fails_does_not_pass(shared_stack: Stack) -> None:
    done = run(shared_stack.url, shared_stack.key, '{"kind": "demo.sum", "input": {"values": ["a"]}}')
    assert done.returncode == 1
    assert "no job succeeded: 422" in done.stderr


def test_a_wrong_key_is_told_at_once(shared_stack: Stack) -> None:
    done = run(shared_stack.url, "wrong")
    assert done.returncode == 1
    assert "no job succeeded: 401" in done.stderr


def test_an_api_that_is_not_there_is_told_when_the_time_is_over() -> None:
    done = run("http://127.0.0.1:9", "any", wait_s="3")
    assert done.returncode == 1
    assert "ConnectError" in done.stderr
