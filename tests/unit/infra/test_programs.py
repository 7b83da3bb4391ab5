"""What to do if server programs are missing."""

import os
from pathlib import Path

import pytest

from infra.local import programs


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_USUAL_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.usefixtures("bare_machine")
def test_all_three_are_missing_on_a_bare_machine() -> None:
    assert programs.missing() == ["postgres", "redis-server", "rabbitmq-server"]


@pytest.mark.usefixtures("bare_machine")
def test_only_what_is_wanted_is_asked_for() -> None:
    assert programs.missing(["redis-server"]) == ["redis-server"]
    assert programs.apt_line(["redis-server"]).endswith("--no-install-recommends redis-server")


@pytest.mark.usefixtures("bare_machine")
def test_without_root_the_two_remedies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(programs.ProgramMissing, match=r"apt-get install .*docker compose up"):
        programs.ensure()


@pytest.mark.usefixtures("bare_machine")
def test_root_installs_what_is_missing_with_the_line_that_was_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "apt-get $*"\n')
    apt.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))

    programs.ensure(["redis-server"])

    printed, ran = capfd.readouterr()
    assert printed.startswith("+ apt-get update && ")
    assert ran.splitlines() == ["apt-get update", "apt-get install -y --no-install-recommends redis-server"]


def test_nothing_is_installed_when_nothing_is_wanted() -> None:
    programs.ensure([])
