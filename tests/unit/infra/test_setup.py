"""`make setup` installs what own kinds need, beside the lock and within it, every time."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCK = """\
pydantic==2.14.3 \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via sluice-jobs
sqlalchemy[asyncio]==2.0.1 ; python_version < '4' \\
    --hash=sha256:02
"""


class Tree:
    """A clone whose uv only notes what it is asked for, and can be told to fail where own requirements come in."""

    def __init__(self, directory: Path) -> None:
        self.root, self.asked = directory, directory / "asked"
        for name in ("infra/local/setup.sh", "infra/sluice"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
        (directory / ".venv/lib/python3.11/site-packages").mkdir(parents=True)
        (directory / "requirements-dev.txt").write_text(LOCK)
        self._program("bin/uv", f'echo "$*" >>{self.asked}; case "$*" in *install*) exit ${{UV:-0}};; esac')
        self._program(".venv/bin/python", "exit 0")

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        path = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            [str(self.root / "infra/local/setup.sh")],
            env=path | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _program(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_without_own_requirements_the_lock_is_all(tree: Tree) -> None:
    assert tree.setup().returncode == 0
    assert "install" not in tree.asked.read_text()


@pytest.mark.parametrize("given", [{}, {"SLUICE_REQUIREMENTS": "mine/wanted.txt"}])
def test_own_requirements_are_installed_after_each_lock_and_within_its_versions(
    tree: Tree, given: dict[str, str]
) -> None:
    own = tree.root / given.get("SLUICE_REQUIREMENTS", "own-requirements.txt")
    own.parent.mkdir(exist_ok=True)
    own.write_text("wcwidth\n")
    for _ in range(2):
        assert tree.setup(**given).returncode == 0
    steps = [line for line in tree.asked.read_text().splitlines() if "pip" in line]
    assert ["sync" in step for step in steps] == [True, False, True, False]
    assert steps[1].endswith(f"-r {own.relative_to(tree.root)} -c .venv/bounds.txt")
    bounds = [line for line in (tree.root / ".venv/bounds.txt").read_text().splitlines() if "#" not in line]
    assert bounds == ["pydantic==2.14.3", "sqlalchemy==2.0.1 ; python_version < '4'"]


def test_own_requirements_that_do_not_fit_stop_it_and_are_named(tree: Tree) -> None:
    (tree.root / "own-requirements.txt").write_text("pydantic<2\n")
    done = tree.setup(UV="1")
    assert done.returncode == 1
    assert "own-requirements.txt cannot be installed beside what Sluice needs" in done.stderr
    assert not (tree.root / ".venv/lock.stamp").exists()


def test_a_file_that_is_not_there_is_named(tree: Tree) -> None:
    done = tree.setup(SLUICE_REQUIREMENTS="nowhere.txt")
    assert (done.returncode, done.stderr) == (
        1,
        "setup: SLUICE_REQUIREMENTS names nowhere.txt, and there is no such file.\n",
    )


@pytest.mark.parametrize(
    ("goal", "sets_up"), [("down", False), ("status", False), ("run", True), ("setup", True)]
)
def test_a_shell_that_names_no_own_requirements_may_stop_what_runs_with_them(
    tree: Tree, goal: str, sets_up: bool
) -> None:
    shutil.copy(ROOT / "Makefile", tree.root / "Makefile")
    (tree.root / ".venv/own").write_text("/elsewhere/requirements.txt\n")
    (tree.root / ".venv/lock.stamp").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "MAKE"))}
    said = subprocess.run(
        [shutil.which("make") or "make", "-n", goal],
        cwd=tree.root,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("infra/local/setup.sh" in said.stdout) is sets_up
