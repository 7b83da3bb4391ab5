"""When `make run` starts a process again: after every change of what it was started from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.stack import Program, _sources_of

SETTINGS = {"SLUICE_HANDLERS": "sluice.kinds.demo_sum, jobs.shout,words,prices.all,no.such"}


def write(file: Path, text: str) -> None:
    """Write a file below directories that may be missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, and a project beside it on Python's path."""
    write(tmp_path / "clone/requirements.txt", "")
    write(tmp_path / "clone/sluice/handler.py", "")
    write(tmp_path / "clone/words.py", "")
    write(tmp_path / "project/jobs/shout.py", "")
    write(tmp_path / "project/core/rules.py", "")
    write(tmp_path / "installed/prices/__init__.py", "raise SystemExit('imported')")
    write(tmp_path / "installed/prices/parts/tax.py", "")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "project"))
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda trees: write(trees / "clone/sluice/handler.py", "new"),
        lambda trees: write(trees / "clone/requirements.txt", "new"),
        lambda trees: write(trees / "clone/words.py", "new"),
        lambda trees: write(trees / "project/jobs/shout.py", "new"),
        lambda trees: write(trees / "project/jobs/more.py", ""),
        lambda trees: write(trees / "clone/grammar.py", ""),
        lambda trees: write(trees / "installed/prices/parts/tax.py", "new"),
        lambda trees: write(trees / "project/core/rules.py", "new"),
        lambda trees: write(trees / "project/notes.py", "new"),
    ],
    ids=[
        "ours",
        "lock",
        "kind in the clone",
        "kind of a project",
        "new file of a project",
        "file beside a kind",
        "installed package",
        "package that a kind imports",
        "module that a kind imports",
    ],
)
def test_a_change_of_code_is_noticed(trees: Path, change: Callable[[Path], None]) -> None:
    program = Program("api", trees / "clone", SETTINGS)
    before = program._build()
    assert program._build() == before
    change(trees)
    assert program._build() != before


def test_a_change_of_settings_or_of_the_path_is_noticed(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Program("api", trees / "clone", SETTINGS)._build()
    assert Program("api", trees / "clone", SETTINGS | {"SLUICE_DOCS": "false"})._build() != before
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert Program("api", trees / "clone", SETTINGS)._build() != before


@pytest.mark.parametrize(
    "file",
    [
        "project/.venv/x.py",
        "project/venv/x.py",
        "project/jobs/__pycache__/x.py",
        "clone/tests/x.py",
        "project/x.txt",
    ],
)
def test_a_file_that_no_kind_can_import_is_no_change(trees: Path, file: str) -> None:
    program = Program("api", trees / "clone", SETTINGS)
    before = program._build()
    write(trees / file, "new")
    assert program._build() == before


def test_of_installed_packages_only_those_with_kinds_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site-packages"
    for name in ("prices/all.py", "prices/__init__.py", "words.py", "other/x.py"):
        write(place / name, "")
    write(tmp_path / "clone/requirements.txt", "")
    monkeypatch.syspath_prepend(place)
    found = _sources_of("prices.all,words", tmp_path / "clone")
    assert found == [place / "prices/__init__.py", place / "prices/all.py", place / "words.py"]
