"""Every guard that the controls remove is where they look for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.fault.controls.__main__ import HEAD, merge_rows
from tests.fault.controls.guards import GUARDS, Cut, Guard
from tests.fault.controls.mutants import MUTANTS, Mutant
from tests.fault.controls.tree import apply_cut, copy_product
from tests.support.stack import ROOT


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_can_be_removed(guard: Guard, tmp_path: Path) -> None:
    root = copy_product(
        tmp_path, (*guard.also_removed, *guard.cuts) if guard.also_removed != guard.cuts else guard.cuts
    )
    compile_all(root, guard.cuts)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_guard_that_a_test_watches_can_be_removed(mutant: Mutant, tmp_path: Path) -> None:
    compile_all(copy_product(tmp_path, mutant.cuts), mutant.cuts)
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text() if name else (ROOT / path).is_file()


def compile_all(root: Path, cuts: Iterable[Cut]) -> None:
    """See that what is left is a program: one that cannot start fails every test."""
    for each in cuts:
        if each.file.endswith(".py"):
            compile((root / each.file).read_text(), each.file, "exec")


def test_a_guard_that_has_moved_is_missed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("twice twice")
    for old in ("once", "twice"):
        with pytest.raises(LookupError):
            apply_cut(tmp_path, Cut("file", old, ""))


def test_a_run_of_some_guards_replaces_their_rows_alone() -> None:
    first, second, last = (f"| {each.name} | good |" for each in (*GUARDS[:2], MUTANTS[-1]))
    table = "\n".join([*HEAD, f"| {GUARDS[1].name} | NOT SEEN |", "| a guard of old | good |", last])
    assert merge_rows(table, [second, first]) == [first, second, last]
