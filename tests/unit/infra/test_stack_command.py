"""The command that `make run` leaves for the stack, and what it makes of kinds without samples."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from infra.local import stack as module
from infra.local.display import TRY, first_command
from infra.local.run import JobsFailed, _refuse_failures
from infra.local.sample_jobs import Sample
from infra.local.sample_run import SampleRun
from infra.local.stack import Stack


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command of a stack, which prints two settings instead of doing anything."""
    monkeypatch.setattr(
        module, "COMMAND", ("sh", "-c", 'echo "$SLUICE_HANDLERS|$SLUICE_KEY_PEPPER"', "sluice")
    )
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/settings").write_text("SLUICE_HANDLERS='of the stack'\nSLUICE_KEY_PEPPER='secret'\n")
    return Stack(tmp_path, {}).leave_command() / "sluice"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "of the stack|secret\n"), ({"SLUICE_HANDLERS": "it's mine $HOME"}, "it's mine $HOME|secret\n")],
    ids=["settings", "environment"],
)
def test_the_command_has_the_settings_of_the_stack_and_the_environment_wins(
    shown: Path, given: dict[str, str], expected: str
) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    done = subprocess.run([str(shown)], env=others | given, capture_output=True, text=True, check=True)
    assert done.stdout == expected


def test_kinds_without_samples_are_no_failure_and_a_failed_sample_is(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {})
    _refuse_failures([], stack)
    failed = SampleRun(Sample("demo.sum", {}, lambda _: "", None), problem="500")
    with pytest.raises(JobsFailed, match=r"demo\.sum did not succeed"):
        _refuse_failures([failed], stack)


def test_a_command_that_needs_the_kind_demo_sum_is_only_shown_where_it_is_offered() -> None:
    assert first_command(["demo.spin", "demo.sum"]) == TRY
    assert "demo.sum" not in first_command(["acme.words"])
