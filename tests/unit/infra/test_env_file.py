"""Settings as lines of NAME=value, written and read by tools."""

import subprocess
from pathlib import Path

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
