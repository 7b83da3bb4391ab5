"""docs/promises.md: each promise names tests, and each of these is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = (ROOT / "docs/promises.md").read_text().split("\n## ")[1:]
PROOF = re.compile(r"^- `(tests/[\w/]+\.py)::(test_\w+)`$")


def names_in(file: Path) -> set[str]:
    """The names of the tests in a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.parse(file.read_text()).body if isinstance(each, functions)}


def test_promises_are_numbered_one_after_the_other() -> None:
    assert [section.split(".")[0] for section in SECTIONS] == [f"P{n}" for n in range(1, len(SECTIONS) + 1)]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split(".")[0])
def test_a_promise_names_tests_that_are_there(section: str) -> None:
    lines = [line for line in section.splitlines() if line.startswith("- ")]
    proofs = [PROOF.match(line) for line in lines]
    assert proofs
    assert None not in proofs
    lost = [
        line
        for line, proof in zip(lines, proofs, strict=True)
        if proof and not ((ROOT / proof[1]).exists() and proof[2] in names_in(ROOT / proof[1]))
    ]
    assert lost == []
