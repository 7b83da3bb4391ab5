"""Ports: who has one, and which ones `make run` takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import env_file as variables
from infra.local import ports
from infra.local.daemon import StartError
from infra.local.process import Record
from infra.local.stack import Program, Stack, reachable, settings_for, unusual_ports

NAMES = ("SLUICE_API_PORT", "SLUICE_API_PRIVATE_PORT", "SLUICE_CONSUMER_PRIVATE_PORT")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """This process, listening."""
    with socket.create_server((ports.LOOPBACK, ports.free_port())) as listening:
        yield listening


def chosen(root: Path, **given: str) -> dict[str, str]:
    """The ports that are chosen for a start."""
    settings = settings_for(root, given, {})
    return {name: settings[name] for name in NAMES}


def remember(root: Path, *numbers: int) -> None:
    """Note these ports as those of the last start."""
    variables.write(root / ".local/settings", dict(zip(NAMES, map(str, numbers), strict=True)))


def test_who_listens_is_named_with_its_directory(listener: socket.socket) -> None:
    said = ports.holder(listener.getsockname()[1])
    assert f"process {os.getpid()}, in {Path.cwd()}" in said
    assert ports.holder(ports.free_port()) == "another program"


def test_a_port_is_given_once_though_its_server_does_not_listen_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ports.free_port()
    monkeypatch.setattr(ports, "_CANDIDATES", range(given, given + 1))
    with pytest.raises(OSError, match="no free port"):
        ports.free_port()
    code = (
        f"from infra.local import ports\nports._CANDIDATES = range({given}, {given + 1})\nports.free_port()"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert f"no free port between {given}" in elsewhere.stderr
    with socket.create_server((ports.LOOPBACK, given)):  # its server may
        pass


def test_the_oldest_reservation_ends_once_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_reserved", deque[socket.socket](maxlen=2))
    oldest, *_ = (ports.free_port() for _ in range(3))
    monkeypatch.setattr(ports, "_CANDIDATES", range(oldest, oldest + 1))
    assert ports.free_port() == oldest
    for each in ports._reserved:
        each.close()


def test_the_ports_of_the_last_time_are_taken_again(tmp_path: Path) -> None:
    last = [ports.free_port() for _ in NAMES]
    remember(tmp_path, *last)
    found = chosen(tmp_path)
    assert list(found.values()) == [str(each) for each in last]
    assert unusual_ports(found, found) == []
    assert all("as last time" in line or "has port" in line for line in unusual_ports(found, {}))
    assert len(unusual_ports(found, {})) == 3


def test_a_port_that_another_program_has_is_not_taken_and_the_program_is_named(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    monkeypatch.setitem(__import__("infra.local.stack", fromlist=["_PORTS"])._PORTS, "SLUICE_API_PORT", port)
    remember(tmp_path, port, ports.free_port(), ports.free_port())
    found = chosen(tmp_path)
    assert found["SLUICE_API_PORT"] != str(port)
    assert f"process {os.getpid()}" in unusual_ports(found, {})[0]


def test_no_two_ports_are_the_same(tmp_path: Path) -> None:
    remember(tmp_path, 20_001, 20_001, 20_001)
    assert len(set(chosen(tmp_path, SLUICE_API_PORT="8002").values())) == 3


def test_a_given_port_that_another_program_has_stops_the_start_before_anything_is_stopped(
    tmp_path: Path, listener: socket.socket
) -> None:
    port = str(listener.getsockname()[1])
    stack = Stack(tmp_path, settings_for(tmp_path, {"SLUICE_API_PRIVATE_PORT": port}, {}))
    with pytest.raises(StartError, match=rf"SLUICE_API_PRIVATE_PORT={port}: .*process {os.getpid()}"):
        stack.refuse_taken_ports()


def test_a_port_that_our_own_process_has_is_no_reason_to_stop(
    tmp_path: Path, listener: socket.socket
) -> None:
    remember(tmp_path, listener.getsockname()[1], ports.free_port(), ports.free_port())
    pid = Program("api", tmp_path, {})._pid_files()[0]
    pid.parent.mkdir(parents=True)
    Record.of(os.getpid()).write(pid)
    stack = Stack(tmp_path, settings_for(tmp_path, {}, {}))
    stack.refuse_taken_ports()
    assert stack.settings["SLUICE_API_PORT"] == str(listener.getsockname()[1])
    pid.unlink()


def test_what_listens_everywhere_is_reached_on_this_machine(tmp_path: Path) -> None:
    settings = {"SLUICE_API_HOST": "::1", "SLUICE_API_PORT": "1", "SLUICE_API_PRIVATE_PORT": "2"}
    stack = Stack(tmp_path, settings | {"SLUICE_PRIVATE_HOST": "0.0.0.0"})  # noqa: S104  nothing is bound
    assert (stack.url, stack.api.private_url) == ("http://[::1]:1", "http://127.0.0.1:2")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0::0", "0:0:0:0:0:0:0:0"])  # noqa: S104  nothing is bound
def test_every_way_to_write_all_addresses_is_reached_on_this_machine(host: str) -> None:
    assert reachable(host) == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost", "fe80::1"])
def test_what_listens_at_one_address_is_reached_there(host: str) -> None:
    assert reachable(host) == host


@pytest.mark.parametrize(("given", "reached"), [({}, "127.0.0.1/32"), ({"SLUICE_API_HOST": "127.0.0.1"}, "127.0.0.1/32"), ({"SLUICE_API_HOST": "192.0.2.7"}, None), ({"SLUICE_WEBHOOK_ALLOW": ""}, "")])  # fmt: skip
def test_webhooks_reach_this_machine_only_where_nobody_else_can_register_one(
    tmp_path: Path, given: dict[str, str], reached: str | None
) -> None:
    assert settings_for(tmp_path, given, {}).get("SLUICE_WEBHOOK_ALLOW") == reached
