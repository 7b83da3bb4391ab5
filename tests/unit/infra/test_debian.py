"""Roots of Debian: made once, from this machine's mirror; one that could not be made leaves nothing behind."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from infra.local import debian
from infra.local.debian import Root, debian_mirrors

ROOT = Root("trixie", ("some-server",))
MAKES = """
for target do case $target in */unfinished/*) break;; esac; done
echo "$@" >>"$(dirname "$0")/calls"
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory of programs that shadow the real ones; apt knows two mirrors."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "_NAMESPACES", ())
    put(directory, "apt-get", 'echo "Debian|http://mirror.test/debian/"; echo "Other|http://other.test/"')
    return directory


def put(tools: Path, name: str, script: str) -> None:
    file = tools / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def calls(tools: Path) -> list[str]:
    return (tools / "calls").read_text().splitlines()


def test_a_root_is_made_once_from_the_mirror_of_this_machine(tools: Path, tmp_path: Path) -> None:
    put(tools, "mmdebstrap", f'{MAKES} mkdir "$target"; echo made >"$target/file"')
    cache = tmp_path / "cache"
    assert not ROOT.is_made(cache)
    place = ROOT.directory(cache)
    assert (place / "file").read_text() == "made\n"
    assert ROOT.is_made(cache)
    assert ROOT.directory(cache) == place
    [call] = calls(tools)
    assert "--include=some-server trixie " in call
    assert call.endswith(" http://mirror.test/debian")
    assert {entry.name for entry in cache.iterdir()} == {place.name, "lock"}


def test_an_archive_and_another_list_of_packages_are_others(tools: Path, tmp_path: Path) -> None:
    put(tools, "mmdebstrap", f'{MAKES} echo made >"$target"')
    places = {
        ROOT.tar(tmp_path),
        Root("trixie", ("other",)).tar(tmp_path),
        Root("sid", ("other",)).tar(tmp_path),
    }
    assert len(places) == len(calls(tools)) == 3
    assert all(place.suffix == ".tar" and place.is_file() for place in places)


def test_of_a_root_that_could_not_be_made_nothing_is_left_but_what_was_said(
    tools: Path, tmp_path: Path
) -> None:
    put(tools, "mmdebstrap", f'{MAKES} mkdir "$target" "$TMPDIR/more"; echo "E: no mirror" >&2; exit 3')
    cache = tmp_path / "cache"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        ROOT.directory(cache)
    assert failed.value.output == "E: no mirror\n"
    assert [entry.name for entry in cache.iterdir()] == ["lock"]


def test_what_a_killed_maker_left_is_not_built_upon(tools: Path, tmp_path: Path) -> None:
    put(tools, "mmdebstrap", f'{MAKES} mkdir "$target"')
    place = ROOT.directory(tmp_path / "cache")
    (place / "half").touch()
    left = place.parent / "unfinished"
    left.mkdir()
    place.rename(left / place.name)
    assert list(ROOT.directory(place.parent).iterdir()) == []
    assert not left.exists()


def test_who_comes_second_waits_for_the_first_and_makes_nothing(tools: Path, tmp_path: Path) -> None:
    put(tools, "mmdebstrap", f'{MAKES} mkdir "$target"; sleep 0.3')
    threads = [threading.Thread(target=ROOT.directory, args=(tmp_path / "cache",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls(tools)) == 1


def test_only_debian_itself_is_a_mirror_of_debian() -> None:
    listing = (
        "Debian-Security|http://a/\nPackages of a vendor|http://b/\nDebian|http://c/debian/\n|http://d\n"
    )
    assert debian_mirrors(listing) == ["http://c/debian"]
    assert debian_mirrors("") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes roots in namespaces of its own")
def test_what_the_maker_mounts_is_gone_with_it(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    if subprocess.run([*debian._NAMESPACES, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine allows no namespaces")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    put(tools, "mmdebstrap", f'{MAKES} mkdir "$target"; mount -t tmpfs tmpfs "$target"; exit 4')
    with pytest.raises(subprocess.CalledProcessError):
        ROOT.directory(tmp_path / "cache")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["lock"]
