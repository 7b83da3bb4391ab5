"""Whose programs start a server, and the message where there can be none."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from infra.local import programs, rabbitmq4
from infra.local.installation import Elsewhere, Here, installation
from infra.local.rabbitmq4 import TREE, WITHOUT_BROKER, NotPossible, installed_version, provide

CONSOLE = Console(quiet=True)


class Unmakeable:
    """A root that cannot be made."""

    def is_made(self, cache: Path) -> bool:
        return False

    def directory(self, cache: Path) -> Path:
        raise subprocess.CalledProcessError(25, "mmdebstrap", output="I: begin\n" * 50 + "E: no mirror\n")


def test_without_the_variable_the_programs_of_this_machine_see_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (None, ""):
        monkeypatch.delenv("A_ROOT", raising=False)
        if value is not None:
            monkeypatch.setenv("A_ROOT", value)
        here = installation("A_ROOT", tmp_path)
        assert isinstance(here, Here)
        assert here.command("sh", "-c", ":") == [str(programs.find("sh")), "-c", ":"]
        assert here.seen(tmp_path / "data") == tmp_path / "data"


def test_programs_of_another_root_see_the_directory_of_their_server_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_ROOT", "/a/root")
    there = installation("A_ROOT", tmp_path)
    assert there == Elsewhere(Path("/a/root"), tmp_path)
    assert there.command("epmd", "-port", "1")[-5:] == ["/a/root", str(tmp_path), "epmd", "-port", "1"]
    assert there.seen(tmp_path / "data") == Path("/srv/data")
    with pytest.raises(ValueError, match="is not in the subpath"):
        there.seen(Path("/etc/passwd"))


def test_the_newest_installed_release_is_known_by_its_directory(tmp_path: Path) -> None:
    assert installed_version(tmp_path) is None
    (tmp_path / "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5").mkdir(parents=True)
    assert installed_version(tmp_path) == "4.0.5"


def test_without_root_it_is_said_how_else_the_product_meets_rabbitmq_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotPossible, match=r"as root.* `make up`"):
        provide(CONSOLE)


def test_a_root_that_cannot_be_made_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "ensure", lambda wanted: None)
    monkeypatch.setattr(rabbitmq4, "_ROOT", Unmakeable())
    with pytest.raises(NotPossible, match=r"E: no mirror\nIt needs a mirror") as told:
        provide(CONSOLE)
    assert len(str(told.value).splitlines()) < 25


@pytest.mark.parametrize("path", WITHOUT_BROKER)
def test_what_is_left_out_of_the_run_on_another_release_meets_no_broker(path: str) -> None:
    place = TREE / path
    files = list(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    for file in files:
        assert not re.search(
            r"(?:servers|adapters)\.rabbitmq\b|\bBroker\b|\b[Ss]tack\b|\bHouse\b", file.read_text()
        )
