"""What `make run` takes for settings that a person gave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import env_file as variables
from infra.local import run
from infra.local.run import leave_addresses, main, read_settings
from infra.local.servers import Servers
from infra.local.stack import Stack
from sluice.errors import StartRefused


def test_settings_of_the_file_and_the_environment_are_judged_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfSLUICE_API_PORT='9000'\r\nSLUICE_HANDLERS=\r\nOTHER=1\r\n")
    assert read_settings(tmp_path, {"SLUICE_LEASE_S": "9"}) == {
        "SLUICE_API_PORT": "9000",
        "SLUICE_LEASE_S": "9",
    }
    with pytest.raises(StartRefused, match="do you mean SLUICE_LEASE_S"):
        read_settings(tmp_path, {"SLUICE_LEASES": "9"})
    with pytest.raises(StartRefused, match="SLUICE_REDIS_URL: this is no address"):
        read_settings(tmp_path, {"SLUICE_REDIS_URL": "localhost:6379"})


def test_events_are_taken_with_the_rabbitmq_that_is_to_be_started_and_refused_without(tmp_path: Path) -> None:
    events = {"SLUICE_EVENTS": "live"}
    assert read_settings(tmp_path, events) == events
    with pytest.raises(StartRefused, match="SLUICE_EVENTS: events go over RabbitMQ"):
        read_settings(tmp_path, events | {"SLUICE_RABBITMQ_URL": "amqp://elsewhere/"}, rabbitmq=False)
    assert read_settings(tmp_path, {}, rabbitmq=False) == {"SLUICE_RABBITMQ_URL": ""}


def test_a_refused_start_is_one_line_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setenv("SLUICE_LEASES", "9")
    assert main([]) == 2
    assert capsys.readouterr() == (
        "",
        "sluice: SLUICE_LEASES: there is no such setting; do you mean SLUICE_LEASE_S?\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_addresses_of_our_own_stopped_servers_are_not_given_ones(tmp_path: Path) -> None:
    servers = Servers(tmp_path / ".local/servers")
    exported = {f"SLUICE_{name.upper()}_URL": url for name, url in servers.urls.items()}
    assert read_settings(tmp_path, exported) == {}
    elsewhere = "postgresql://u:p@db/sluice"
    assert read_settings(tmp_path, exported | {"SLUICE_POSTGRES_URL": elsewhere}) == {
        "SLUICE_POSTGRES_URL": elsewhere
    }
    (tmp_path / ".env").write_text(f"SLUICE_POSTGRES_URL={elsewhere}\n")
    assert read_settings(tmp_path, exported) == {"SLUICE_POSTGRES_URL": elsewhere}
    (tmp_path / ".env").write_text("".join(f"{name}={url}\n" for name, url in exported.items()))
    assert read_settings(tmp_path, {}) == {}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a run leaves for shells and tools."""
    names = ("SLUICE_POSTGRES_URL", "SLUICE_REDIS_URL", "SLUICE_RABBITMQ_URL")
    settings = dict.fromkeys(names, "redis://:it's@h/?a=1&b=$2") | {
        "SLUICE_API_PORT": "8000",
        "SLUICE_API_PRIVATE_PORT": "8001",
    }
    leave_addresses(Stack(tmp_path, settings), "slc_key")
    return tmp_path / ".local/env"


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_a_shell_can_source_what_a_run_leaves_and_programs_it_starts_have_it(left: Path, shell: str) -> None:
    names = "import os; print(*sorted(name for name in os.environ if name[:7] == 'SLUICE_'))"
    told = subprocess.run(
        [
            shell,
            "-uec",
            f'. {left}; {sys.executable} -c "{names}"; echo "$SLUICE_REDIS_URL"; command -v sluice',
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == [
        "SLUICE_API_KEY SLUICE_PRIVATE_URL SLUICE_URL",
        "redis://:it's@h/?a=1&b=$2",
        str(left.parent / "bin/sluice"),
    ]


def test_python_reads_what_a_run_leaves(left: Path) -> None:
    found = variables.read(left)
    assert (found["SLUICE_URL"], found["SLUICE_API_KEY"]) == ("http://127.0.0.1:8000", "slc_key")
    assert found["SLUICE_REDIS_URL"] == "redis://:it's@h/?a=1&b=$2"
