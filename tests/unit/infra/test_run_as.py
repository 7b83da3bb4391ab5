"""The account that PostgreSQL runs as when root starts it."""

import os
import pwd
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from infra.local.run_as import hand_over, owner_of, temporary_directory


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_gives_a_new_directory_to_the_account_that_can_get_there() -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-identity-") as parent:
        Path(parent).chmod(0o755)
        draft = Path(parent) / "data.new"
        draft.mkdir(mode=0o700)
        hand_over(draft)
        assert draft.stat().st_uid == pwd.getpwnam("postgres").pw_uid
        assert owner_of(draft).prefix == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_below_a_closed_directory_root_takes_another_name() -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-identity-") as parent:  # 0700
        draft = Path(parent) / "data.new"
        draft.mkdir(mode=0o700)
        hand_over(draft)
        assert owner_of(draft).prefix[0] == "unshare"


@pytest.mark.parametrize("longer", [0, 80])
def test_a_socket_can_be_named_in_a_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longer: int
) -> None:
    usual = tmp_path / ("x" * longer) if longer else Path(tempfile.gettempdir())
    usual.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    made = temporary_directory("sluice-socket-")
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(made / "containerd.sock.ttrpc"))
        assert len(str(made)) < 70
    finally:
        shutil.rmtree(made)
