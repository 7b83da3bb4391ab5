"""RabbitMQ is optional; the other two servers are not."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.local import programs, wheels
from infra.local.programs import ProgramMissing
from infra.local.server_selection import RABBITMQ_URL, choose, without_rabbitmq
from infra.local.servers import Servers

ALL = ["SLUICE_POSTGRES_URL", "SLUICE_REDIS_URL", RABBITMQ_URL]
APT = """#!/bin/sh
echo "$*" >> {log}
case "$*" in *{broken}*) exit 100;; *install*) for each in $*; do : > "{bin}/$each"; chmod +x "{bin}/$each"; done;; esac
"""


class Machine:
    """A bare machine on which only the programs in `bin` are installed."""

    def __init__(self, directory: Path) -> None:
        self.bin, self.log = directory / "bin", directory / "log"
        self.servers = Servers(directory / "servers")
        self.bin.mkdir()

    def has(self, *programs: str) -> None:
        """Install these programs."""
        for program in programs:
            self._write(program, "#!/bin/sh\n")

    def has_apt(self, broken: str) -> None:
        """Install an apt that fails wherever this package is wanted."""
        self._write("apt-get", APT.format(log=self.log, bin=self.bin, broken=broken))

    def _write(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Make a machine with nothing installed, used by an ordinary user."""
    machine = Machine(tmp_path)
    monkeypatch.setattr(programs, "_USUAL_PLACES", ())
    monkeypatch.setenv("PATH", f"{machine.bin}:/bin:/usr/bin")
    monkeypatch.setattr(programs, "find", lambda name: _found(machine, name))
    monkeypatch.setattr(wheels, "install", _no_wheel_fits)
    monkeypatch.delenv("SERVERS", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return machine


def _found(machine: Machine, name: str) -> Path:
    if not (machine.bin / name).exists():
        raise ProgramMissing(f"{name} is not installed")
    return machine.bin / name


def _no_wheel_fits() -> None:
    raise wheels.NotInstalled("no wheel fits")


def test_where_wheels_are_asked_for_nothing_else_is_taken(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVERS", "wheels")
    machine.has("postgres", "redis-server", "rabbitmq-server")
    assert choose(machine.servers, {}) == (
        {ALL[0]: machine.servers.postgres, ALL[1]: machine.servers.redis},
        "no Python package has it",
    )
    given = {RABBITMQ_URL: "amqp://elsewhere/"}
    assert choose(machine.servers, given)[1] == ""


def test_where_all_three_are_installed_all_three_are_chosen(machine: Machine) -> None:
    machine.has("postgres", "redis-server", "rabbitmq-server")
    wanted, why_without = choose(machine.servers, {})
    assert (list(wanted), why_without) == (ALL, "")


def test_who_cannot_install_rabbitmq_goes_on_without_and_hears_what_would_help(machine: Machine) -> None:
    machine.has("postgres", "redis-server")
    wanted, why_without = choose(machine.servers, {})
    assert list(wanted) == ALL[:2]
    assert "apt-get install -y --no-install-recommends rabbitmq-server" in why_without
    assert why_without in without_rabbitmq(why_without)


@pytest.mark.parametrize("here", [["postgres", "redis-server"], ["redis-server"]])
def test_where_apt_has_no_rabbitmq_the_rest_is_installed_and_goes_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, here: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has(*here)
    machine.has_apt(broken="rabbitmq-server")
    monkeypatch.setitem(programs._PACKAGES, "postgres", "postgres")
    wanted, why_without = choose(machine.servers, {})
    assert (list(wanted), why_without) == (ALL[:2], "apt-get could not install it")
    assert (machine.bin / "postgres").exists()


@pytest.mark.parametrize("here", [["redis-server"], ["redis-server", "rabbitmq-server"]])
def test_another_program_that_cannot_be_had_stops_the_start(machine: Machine, here: list[str]) -> None:
    machine.has(*here)
    with pytest.raises(ProgramMissing, match=r"^postgres: not installed"):
        choose(machine.servers, {})


def test_a_rabbitmq_that_is_there_is_not_given_up_for_another_program(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has("redis-server", "rabbitmq-server")
    machine.has_apt(broken="postgresql")
    with pytest.raises(subprocess.CalledProcessError):
        choose(machine.servers, {})
    assert len(machine.log.read_text().splitlines()) == 2, "update and install, once"


@pytest.mark.parametrize("address", ["amqp://elsewhere/", ""])
def test_a_rabbitmq_elsewhere_or_none_that_is_wanted_needs_no_program(machine: Machine, address: str) -> None:
    machine.has("postgres", "redis-server")
    wanted, why_without = choose(machine.servers, {RABBITMQ_URL: address})
    assert (list(wanted), why_without) == (ALL[:2], "")
