"""The distribution `sluice-jobs` without its extras: handlers, their tests and the command, in an environment with no server side."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sluice.core.taken_names import OURS

IMPORTED_AS = {"pillow": "PIL"}
ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
HANDLER = """
from pydantic import BaseModel
from sluice import Context, GiveUp, RetryLater, RetryPolicy, handler
from sluice.testing import FakeContext, run_handler

class Number(BaseModel):
    value: int

@handler("number.double", retry=RetryPolicy(max_attempts=1))
def double(given: Number, context: Context) -> Number:
    return Number(value=2 * given.value)

print(run_handler(double, {"value": 21}).value)
"""


def absent() -> set[str]:
    """What the extras bring, by the names under which it is imported, and our processes."""
    extras = tomllib.loads((OURS / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.split(r"[\[>=]", each)[0].replace("-", "_") for extra in extras.values() for each in extra}
    return {"api", "consumer", *(IMPORTED_AS.get(name, name) for name in names)}


def run(code: str, directory: Path) -> tuple[int, str, str]:
    """Run it where nothing of this can be imported: exit status, stdout, stderr."""
    path = {"PYTHONPATH": str(OURS)}
    ended = subprocess.run(
        [sys.executable, "-c", ALONE.format(absent=absent()) + code],
        cwd=directory, env=path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def test_a_handler_is_written_and_tested(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    assert run("import handler", tmp_path) == (0, "42\n", "")


@pytest.mark.parametrize(
    "words",
    [[], ["--version"], ["settings"], ["keys", "create", "--help"], ["run", "--help"], ["verify", "--help"]],
)
def test_the_command_helps(tmp_path: Path, words: list[str]) -> None:
    status, out, err = run(f"from sluice.cli import main; sys.exit(main({words}))", tmp_path)
    assert (status, err) == (0, "")
    assert "sluice" in out.lower()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("api", "make setup"),
        ("consumer", "make setup"),
        ("keys list --record", "make setup"),
        ("keys create --tenant a", "make setup"),
        ("migrate", "pip install '.[server]'"),
        ("verify", "pip install '.[server]'"),
    ],
)
def test_a_word_that_needs_more_says_what_and_how_to_get_it(tmp_path: Path, line: str, what: str) -> None:
    status, out, err = run(f"from sluice.cli import main; sys.exit(main({line.split()}))", tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("sluice: ")
    assert what in err
