"""`make check-infra`: everything here passes it, and it says what does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.checks import tools
from infra.checks.__main__ import main, report
from infra.checks.check import Check, files, run
from infra.checks.table import CHECKS
from infra.local import programs


@pytest.mark.timeout(600)  # the first time it installs the tools
def test_all_that_is_here_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.checks"], cwd=tools.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CHECKS)} checks, 0 failed" in done.stdout


def test_one_that_fails_is_shown_and_the_others_run_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Check("first", ("python", "-c", "print('what is wrong'); raise SystemExit(3)")),
        Check("second", ("python", "-c", "print('not shown')")),
    ]
    assert report(map(run, rows)) == 1
    first, wrong, second = capsys.readouterr().out.splitlines()
    assert first.startswith("FAILED   first")
    assert wrong == "    what is wrong"
    assert second.startswith("ok       second")


def test_a_program_that_is_not_installed_is_skipped_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert report([run(Check("rules", ("promtool", "check", "rules")))]) == 0
    line = capsys.readouterr().out
    assert line.startswith("skipped  rules")
    assert line.rstrip().endswith(programs.apt_line(["promtool"]))


def test_patterns_that_fit_no_file_fail_as_such_a_row_would_check_nothing(tmp_path: Path) -> None:
    result = run(Check("lost", ("python", "--version"), ("*.rules",)), tmp_path)
    assert result.failed
    assert result.said == "no file fits *.rules"


def test_a_check_gets_each_file_once_and_none_that_its_row_excludes(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml", "c/d.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    check = Check("some", ("python",), ("*.yml", "a.*", "**/*.yml"), but=("b.yml",))
    assert files(check, tmp_path) == ["a.yml", "c/d.yml"]


def test_a_word_that_no_check_has_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing-like-it"]) == 2
    assert CHECKS[0].name in capsys.readouterr().out


def test_no_two_checks_share_a_name() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
