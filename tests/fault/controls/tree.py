"""A copy of the product from which something was removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.fault.controls.guards import Cut
from tests.support.stack import ROOT

PACKAGES = ("sluice", "api", "consumer")


def copy_product(to: Path, cuts: Iterable[Cut]) -> Path:
    """Copy the product's packages into this directory, without what the cuts remove. Raises LookupError like `apply_cut`."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
    for each in cuts:
        apply_cut(to, each)
    return to


def apply_cut(root: Path, cut: Cut) -> None:
    """Remove one thing. Raises LookupError unless it is there exactly once: the guard has moved."""
    file = root / cut.file
    text = file.read_text()
    if text.count(cut.old) != 1:
        raise LookupError(f"{cut.file} has {text.count(cut.old)} times {cut.old!r}")
    file.write_text(text.replace(cut.old, cut.new))
