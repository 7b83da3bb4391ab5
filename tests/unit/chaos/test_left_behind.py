"""What descends from a run is found, in whatever session it is, and is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault.chaos import left_behind
from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.kinds import LEDGER


@contextmanager
def running(ledger: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of a run for the block, which has begun: before that, its environment may not be seen."""
    command = [sys.executable, "-c", "input('begun\\n')", *arguments]
    environment = {**os.environ, LEDGER: str(ledger)}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield process
    finally:
        process.communicate()


def pids(lives: set[left_behind.Life]) -> set[int]:
    return {pid for pid, _ in lives}


def test_processes_of_a_run_are_found_and_those_of_others_are_not(tmp_path: Path) -> None:
    with running(tmp_path / "own") as own, running(tmp_path / "other") as other:
        assert pids(left_behind.of_run(tmp_path / "own")) == {own.pid}
        assert pids(left_behind.descendants(os.getpid())) >= {own.pid, other.pid}


def test_the_product_and_its_hosts_are_not_what_jobs_leave_behind(tmp_path: Path) -> None:
    with running(tmp_path, "sluice.host"), running(tmp_path, "consumer"), running(tmp_path) as left:
        assert pids(left_behind.of_jobs(tmp_path)) == {left.pid}


async def test_what_does_not_go_is_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "GONE_S", 0.05)
    violations = Violations()
    with running(tmp_path):
        await left_behind.until_gone(left_behind.of_run(tmp_path), "after a test", violations)
    assert violations.counts == {"processes left behind": 1}


async def test_what_has_ended_is_gone_even_if_its_parent_has_not_looked(tmp_path: Path) -> None:
    violations = Violations()
    with running(tmp_path):
        lives = left_behind.of_run(tmp_path)
        assert lives
        left_behind.end(lives)
        await left_behind.until_gone(lives, "after a test", violations)
    assert not violations.counts
