"""Settings as lines of NAME=value, written by people and read by tools."""

import subprocess
from pathlib import Path

import pytest

from infra.local import env_file as variables


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    values = {"SLUICE_URL": "http://127.0.0.1:8000", "SLUICE_API_KEY": "with 'quotes' & spaces #1"}
    variables.write(tmp_path / "env", values)
    assert variables.read(tmp_path / "env") == values


def test_what_is_written_can_be_sourced_by_a_shell(tmp_path: Path) -> None:
    variables.write(tmp_path / "env", {"SLUICE_API_KEY": "a&b c"})
    told = subprocess.run(
        ["/bin/sh", "-c", '. ./env; printf %s "$SLUICE_API_KEY"'],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert told.stdout == b"a&b c"


def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    variables.write(tmp_path / "env", {"SLUICE_KEY_PEPPER": "x"})
    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


def test_comments_and_empty_lines_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# SLUICE_A=1\n\nexport SLUICE_B=2\nSLUICE_C=3  # three\n")
    assert variables.read(tmp_path / "env") == {"SLUICE_B": "2", "SLUICE_C": "3"}


def test_a_setting_left_empty_counts_as_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_REDIS_URL", raising=False)
    (tmp_path / ".env").write_text("SLUICE_REDIS_URL=\n")
    assert "SLUICE_REDIS_URL" not in variables.given(tmp_path)


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://there")
    (tmp_path / ".env").write_text("SLUICE_REDIS_URL=redis://here\n")
    assert variables.given(tmp_path)["SLUICE_REDIS_URL"] == "redis://there"
