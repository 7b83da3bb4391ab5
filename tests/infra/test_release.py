"""`make release-check` and `make bump`: what cannot be released is refused, and a version is written in all its places."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks import tools
from infra.release.__main__ import (
    NotFit,
    build_twice,
    bump,
    check_version,
    list_materials,
    main,
    section,
    without_hashes,
)
from sluice import __version__

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.2.0] - 2026-10-01

### Fixed

- What users see.

## [1.1.0] - 2026-09-01
"""
LATER = """
import random
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        open(self.root + "/sluice/chance.py", "w").write(f"CHANCE = {random.random()}")
"""

with_tools = pytest.mark.timeout(600)  # the first test that needs them installs them


def test_version_changelog_and_tag_agree() -> None:
    assert check_version("1.2.0", CHANGELOG) == "1.2.0 of 2026-10-01"
    assert check_version("1.2.0", CHANGELOG, "v1.2.0") == "1.2.0 of 2026-10-01"


@pytest.mark.parametrize(
    ("version", "tag", "why"),
    [
        ("1.2.0", "v1.3.0", "the tag is v1.3.0, and sluice/__init__.py says 1.2.0"),
        ("1.2.0", "1.2.0", "the tag is 1.2.0"),
        ("1.3.0", "", "the newest release in CHANGELOG.md is not 1.3.0"),
        ("1.1.0", "", "the newest release in CHANGELOG.md is not 1.1.0"),
    ],
)
def test_what_does_not_agree_is_named(version: str, tag: str, why: str) -> None:
    with pytest.raises(NotFit, match=why):
        check_version(version, CHANGELOG, tag)


def test_a_release_of_which_the_changelog_says_nothing_gets_no_tag() -> None:
    nothing = CHANGELOG.replace("### Fixed\n\n- What users see.\n", "")
    with pytest.raises(NotFit, match=r"says nothing of 1\.2\.0"):
        check_version("1.2.0", nothing, "v1.2.0")


def test_a_section_ends_where_the_next_begins() -> None:
    assert section(CHANGELOG, "1.2.0") == "### Fixed\n\n- What users see."
    assert section(CHANGELOG, "1.1.0") == ""


def test_bounds_are_the_versions_of_the_lock_with_their_markers() -> None:
    lock = """\
sqlalchemy[asyncio]==2.0.1 \\
    --hash=sha256:aa
    # via sluice-jobs (pyproject.toml)
uvloop==0.23.0 ; sys_platform != 'win32' \\
    --hash=sha256:bb
"""
    assert without_hashes(lock) == "sqlalchemy==2.0.1\nuvloop==0.23.0 ; sys_platform != 'win32'\n"


def test_the_bounds_of_this_lock_are_all_of_it() -> None:
    lock = (tools.ROOT / "requirements.txt").read_text()
    packages = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert len(without_hashes(lock).splitlines()) == len(packages)


def test_an_argument_that_is_none_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--tags"]) == 2
    assert "usage" in capsys.readouterr().out


def test_the_chart_has_the_version_of_the_product() -> None:
    chart = yaml.safe_load((tools.ROOT / "infra/helm/sluice/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


@with_tools
def test_the_next_version_is_written_in_all_its_places_in_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where nobody has told git who they are
    places = ("sluice/__init__.py", "infra/helm/sluice/Chart.yaml", "CHANGELOG.md", "pyproject.toml")
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tools.ROOT / place, tmp_path / place)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=Before")
    major, minor, _ = __version__.split(".")
    new = f"{major}.{int(minor) + 1}.0"
    git(tmp_path, "config", "user.name", "A")
    git(tmp_path, "config", "user.email", "a@example.com")
    assert bump("minor", tmp_path) == new
    changed = git(tmp_path, "show", "--name-only", "--format=%s").split()
    assert changed == ["Release", new, "CHANGELOG.md", "infra/helm/sluice/Chart.yaml", "sluice/__init__.py"]
    chart = yaml.safe_load((tmp_path / "infra/helm/sluice/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (new, new)
    changelog = (tmp_path / "CHANGELOG.md").read_text()
    assert check_version(new, changelog, f"v{new}").startswith(new)
    assert section(changelog, "Unreleased") == ""


def git(root: Path, *words: str) -> str:
    """Run git as somebody, whoever uses this machine."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    command = [shutil.which("git") or "git", *who, *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


@with_tools
def test_a_build_that_comes_out_otherwise_the_second_time_is_refused(tmp_path: Path) -> None:
    tools.install()
    project, root = tmp_path / "tree", tools.ROOT
    (project / "sluice").mkdir(parents=True)
    shutil.copy(root / "sluice/__init__.py", project / "sluice")
    for name in ("README.md", "LICENSE"):
        shutil.copy(root / name, project)
    hook = '\n[tool.hatch.build.hooks.custom]\npath = "sluice/hook.py"\n'
    (project / "pyproject.toml").write_text((root / "pyproject.toml").read_text() + hook)
    (project / "sluice/hook.py").write_text(LATER)
    with pytest.raises(NotFit, match="two builds of the same files differ"):
        build_twice(tmp_path / "dist", project)


@with_tools
def test_the_materials_are_all_of_the_lock_and_the_same_each_time(tmp_path: Path) -> None:
    tools.install()
    first, second = tmp_path / "one.json", tmp_path / "two.json"
    bounds = without_hashes((tools.ROOT / "requirements.txt").read_text())
    packages = {
        line.split("==")[0] for line in bounds.splitlines()
    }  # some are there twice, for different Pythons
    assert list_materials(first, validate=False).startswith(f"{len(packages)} packages")
    list_materials(second, validate=False)
    assert first.read_bytes() == second.read_bytes()
