"""Giving way to interactive processes, and saying what took effect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.host import background
from sluice.host.background import NICEST, SessionWeight, set_session_weight

ROOT = Path(__file__).parents[3]


@pytest.fixture
def autogroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put files in place of those of the kernel, which has sessions share the processor."""
    file, enabled = tmp_path / "autogroup", tmp_path / "enabled"
    file.write_text("/autogroup-7 nice 0\n")
    enabled.write_text("1\n")
    monkeypatch.setattr(background, "AUTOGROUP", file)
    monkeypatch.setattr(background, "AUTOGROUP_ENABLED", enabled)
    return file


def test_the_session_is_lowered_where_sessions_share_the_processor(autogroup: Path) -> None:
    set_session_weight(NICEST)
    assert autogroup.read_text() == str(NICEST)


def test_it_says_what_is_in_effect_and_not_what_was_wanted(
    autogroup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert set_session_weight(NICEST) == "autogroup 0"


@pytest.mark.parametrize("text", ["0\n", None])
def test_without_sessions_that_share_the_nice_value_counts(autogroup: Path, text: str | None) -> None:
    enabled = autogroup.with_name("enabled")
    enabled.unlink() if text is None else enabled.write_text(text)
    assert set_session_weight(NICEST) == f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
    assert autogroup.read_text() == "/autogroup-7 nice 0\n"


def test_a_file_that_cannot_be_read_is_not_known(autogroup: Path) -> None:
    autogroup.unlink()
    autogroup.mkdir()
    assert set_session_weight(NICEST) == "autogroup unknown"


def test_a_process_runs_at_the_lowest_weight_for_good() -> None:
    code = (
        "import os; from sluice.host.background import run_in_background; run_in_background();"
        "print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0) == os.SCHED_BATCH)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout.split() == ["19", "True"]


class Clocks:
    """Seconds that a test sets: of the clock, used, and waited for a processor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.used = self.waited = 0.0
        self.weights: list[int] = []
        monkeypatch.setattr(background, "_read_clocks", lambda: (self.now, self.used, self.waited))
        monkeypatch.setattr(background, "set_session_weight", self.weights.append)
        self._weight = SessionWeight()

    def pass_by(self, seconds: float, used: float, waited: float = 0.0) -> list[int]:
        """Let time pass of which these shares were used and waited, and return all weights that were set."""
        self.now += seconds
        self.used += seconds * used
        self.waited += seconds * waited
        self._weight.adjust()
        return self.weights


def test_heavy_work_lowers_the_weight_and_light_work_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    assert clocks.pass_by(1, used=0.7) == []
    assert clocks.pass_by(1, used=0.9) == [19]
    assert clocks.pass_by(1, used=0.7) == [19]
    assert clocks.pass_by(1, used=0.5) == [19, 0]


def test_a_host_that_gives_way_goes_on_doing_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    clocks.pass_by(1, used=1.0)
    assert clocks.pass_by(1, used=0.1, waited=0.8) == [19]


def test_a_host_that_others_keep_waiting_is_not_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clocks(monkeypatch).pass_by(1, used=0.3, waited=0.7) == []


def test_what_is_short_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    assert clocks.pass_by(0.5, used=1.0) == []
    assert clocks.pass_by(0.6, used=0.1) == []
