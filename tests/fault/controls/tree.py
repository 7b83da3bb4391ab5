"""A copy of the product from which something was taken away."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.fault.controls.guards import Cut
from tests.support.stack import ROOT

ROOMS = ("sluice", "api", "consumer")


def copied(to: Path, cuts: Iterable[Cut]) -> Path:
    """The rooms of the product below this directory, without what the cuts take away. Raises LookupError as `cut`."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, to / room, ignore=shutil.ignore_patterns("__pycache__"))
    for each in cuts:
        cut(to, each)
    return to


def cut(root: Path, this: Cut) -> None:
    """Take one thing away. Raises LookupError where it is not there, exactly once: the guard has moved."""
    file = root / this.file
    text = file.read_text()
    if text.count(this.old) != 1:
        raise LookupError(f"{this.file} has {text.count(this.old)} times {this.old!r}")
    file.write_text(text.replace(this.old, this.new))
