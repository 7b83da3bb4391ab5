"""`sluice new`: what it writes passes its own tests, and it overwrites nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluice import __version__
from sluice.cli import main
from sluice.core.taken_names import OURS

PINNED = re.compile(r"uses: (\S+@[0-9a-f]{40} # v[\d.]+)")


def pins(*workflows: Path) -> set[str]:
    """The actions that these name, with what they are pinned to."""
    return {pin for each in workflows for pin in PINNED.findall(each.read_text())}


def test_what_it_writes_passes_its_own_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "acme-media"
    assert main(["new", str(project)]) == 0
    assert capsys.readouterr().out == f"written: {project}; its README.md says how to test and run it\n"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_every_file_is_filled_in_and_is_of_this_release(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "acme-media")]) == 0
    texts = {each.name: each.read_text() for each in (tmp_path / "acme-media").rglob("*") if each.is_file()}
    assert len(texts) == 12
    assert [name for name, text in texts.items() if re.search(r"@[a-z]+@", text)] == []
    assert f"sluice-jobs=={__version__}\n" in texts["requirements-dev.txt"]
    assert f"sluice:{__version__}\n" in texts["Dockerfile"]
    assert '@handler("acme_media.words"' in texts["words.py"]


def test_its_workflow_pins_the_actions_that_ours_pin(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "acme")]) == 0
    theirs = pins(tmp_path / "acme/.github/workflows/ci.yml")
    ours = pins(*(OURS / ".github").glob("workflows/*.yml"), *(OURS / ".github").glob("actions/*/action.yml"))
    assert len(theirs) == 2
    assert theirs <= ours


def test_its_workflow_takes_sluice_from_where_a_variable_says(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "acme")]) == 0
    workflow = (tmp_path / "acme/.github/workflows/ci.yml").read_text()
    page = (tmp_path / "acme/README.md").read_text()
    asked = set(re.findall(r"vars\.(\w+)", workflow))
    assert asked == {"SLUICE_PACKAGE", "SLUICE_IMAGE"} == set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert f"'sluice-jobs=={__version__}'" in workflow
    assert [name for name in asked if f'"${name}"' not in workflow] == []


def test_an_empty_directory_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme").mkdir()
    monkeypatch.chdir(tmp_path / "acme")
    assert main(["new", "."]) == 0
    assert (tmp_path / "acme/acme/words.py").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no name of a project"),
        ("Acme", "no name of a project"),
        ("2fast", "no name of a project"),
        ("acme-", "no name of a project"),
        ("a" * 41, "no name of a project"),
        ("ac\nme", "no name of a project"),
        ("api", "the name api is taken"),
        ("sluice", "the name sluice is taken"),
        ("tests", "the name tests is taken"),
        ("class", "the name class is taken"),
        ("json", "the name json is that of a module"),
        ("pydantic", "the name pydantic is that of a module"),
    ],
)
def test_a_bad_name_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    place = tmp_path / "Empty"
    place.mkdir()
    assert main(["new", str(place / name)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert why in said.err
    assert list(place.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert main(["new", str(tmp_path / "acme")]) == 2
    assert "is not empty: notes.txt is in it" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "file")]) == 2
    assert "is no directory" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "file/acme")]) == 2
    assert capsys.readouterr().err == f"sluice: {tmp_path}/file/acme: Not a directory\n"
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["acme", "file", "notes.txt"]
