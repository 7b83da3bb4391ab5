"""A user's package called api, consumer or sluice: whichever of the two hides the other, both files are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.core.taken_names import NAMES, OURS, refuse_what_hides_us, refuse_what_we_hide
from sluice.errors import StartRefused
from sluice.host.loading import load_watched


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's project, last on the path; modules loaded from it are forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(project: Path, name: str, text: str = "") -> Path:
    """A module of this project, and the packages it is in."""
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.parent != project:
        (file.parent / "__init__.py").touch()
    file.write_text(text)
    return file


@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_before_ours_is_refused(project: Path, name: str, form: str) -> None:
    file = write(project, form.format(name))
    refuse_what_hides_us()
    sys.path.insert(0, str(project))
    with pytest.raises(StartRefused, match=f"{file} hides {OURS / name}/__init__.py"):
        load_watched([])


def test_what_is_not_installed_hides_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "api/__init__.py")
    monkeypatch.setattr("sluice.core.taken_names.OURS", project / "nowhere")
    refuse_what_hides_us()


@pytest.mark.parametrize("module", ["api.own", "consumer.own.kinds", "sluice.own", "api.jobs", "consumer"])
def test_a_listed_module_that_ours_hides_is_refused(project: Path, module: str) -> None:
    file = write(project, f"{module.replace('.', '/')}.py")
    name = module.partition(".")[0]
    with pytest.raises(StartRefused, match=f"{module}: {OURS / name}/__init__.py hides {file}"):
        load_watched([module])


def test_a_module_that_needs_one_that_ours_hides_is_refused(project: Path) -> None:
    file = write(project, "api/models.py")
    write(project, "own_kinds.py", "import api.models")
    with pytest.raises(StartRefused, match=f"api.models: {OURS}/api/__init__.py hides {file}"):
        load_watched(["own_kinds"])


@pytest.mark.parametrize("module", ["jobs.shout", "sluice.kinds.demo_sum", "api.nothing"])
def test_other_modules_are_not_spoken_of(project: Path, module: str) -> None:
    refuse_what_we_hide(module)
