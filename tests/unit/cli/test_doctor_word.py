"""`sluice doctor` where something is wrong: each check is reported, with what to do."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from infra.local.ports import free_port
from sluice import __version__
from tests.support.command import Ended, Said
from tests.support.scripted_server import Received, Reply, answer, problem, scripted

CHECKS = ["server", "key", "encryption", "round trip", "version", "clock", "scopes"]
ROOT = {"name": "sluice", "version": __version__}


@pytest.fixture
def sluice(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """The command in this process, in an empty directory, with a key and no address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SLUICE_API_KEY", "slc_2r8Pi8FrTJgt_secret_x")
    for name in ("SLUICE_URL", "SLUICE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Said(tmp_path, capsys, monkeypatch)


def server(root: Reply, rest: Reply) -> Reply:
    """Answer what is asked of `/`, and all else."""

    def reply(connection: socket.socket, request: Received) -> None:
        (root if request.path == "/" else rest)(connection, request)

    return reply


def good() -> Reply:
    """Answer as the address of a Sluice does."""
    return answer(200, ROOT, date=format_datetime(datetime.now(UTC), usegmt=True))


def wrong(said: Ended) -> dict[str, str]:
    """The remedies of the checks that found something wrong; all checks are there, and none is right and has a remedy."""
    assert said.err == ""
    assert [each["check"] for each in said.documents] == CHECKS
    assert [each for each in said.documents if each["ok"] and each["remedy"]] == []
    return {each["check"]: each["remedy"] for each in said.documents if each["ok"] is False}


def test_without_a_configuration_each_check_is_reported(sluice: Said) -> None:
    said = sluice.run("doctor")
    assert wrong(said)["server"].startswith("no server is named: set SLUICE_URL")
    assert [each["ok"] for each in said.documents] == [False, *[None] * 6]
    assert said.status == 2


def test_a_dead_server_is_a_finding_with_its_remedy(sluice: Said) -> None:
    said = sluice.run("doctor", "--url", f"http://127.0.0.1:{free_port()}")
    assert "see that it runs" in wrong(said)["round trip"]
    assert [each["ok"] for each in said.documents] == [True, True, True, False, None, None, None]
    assert "not checked" in said.documents[-1]["found"]
    assert said.status == 6


def test_what_is_no_sluice_is_a_finding(sluice: Said) -> None:
    with scripted(answer(200, b"<html>")) as other:
        said = sluice.run("doctor", "--url", other.url)
    assert "something else may answer there" in wrong(said)["round trip"]
    assert said.status == 6


def test_a_key_that_is_not_valid_keeps_nothing_else_from_being_checked(sluice: Said) -> None:
    with scripted(server(good(), problem(401, "unauthorized"))) as there:
        said = sluice.run("doctor", "--url", there.url)
    assert list(wrong(said)) == ["scopes"]
    assert "SLUICE_API_KEY" in wrong(said)["scopes"]
    assert said.status == 4
    assert "secret" not in said.out


def test_a_record_that_is_away_is_a_finding(sluice: Said) -> None:
    with scripted(server(good(), problem(503, "record-unavailable", retryable=False))) as there:
        said = sluice.run("doctor", "--url", there.url)
    assert "/readyz" in wrong(said)["scopes"]
    assert said.status == 6


def test_a_table_has_the_remedies_as_well(sluice: Said) -> None:
    said = sluice.run("doctor", "-o", "table")
    assert said.status == 2
    assert "sluice login --url URL" in said.out
    assert said.out.count("\n") == len(CHECKS)
