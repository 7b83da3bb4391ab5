"""Refuse a user's package called `api`, `consumer` or `sluice`: these three names are taken.

Either it comes first on Python's path and hides ours, or ours comes first and hides the kinds in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sluice.errors import StartRefused

NAMES = ("api", "consumer", "sluice")
OURS = Path(__file__).resolve().parents[2]
_REMEDY = "The names api, consumer and sluice are taken: give your package another."


def refuse_what_hides_us() -> None:
    """Raise StartRefused if another package comes before one of ours, naming both files."""
    for name in NAMES:
        ours = OURS / name / "__init__.py"
        first = next(_files(name), ours)
        if ours.exists() and first.resolve() != ours:
            raise StartRefused(f"{first} hides {ours}. {_REMEDY}")


def refuse_what_we_hide(module: str) -> None:
    """Raise StartRefused if a module of this name cannot be imported because a package of ours hides it."""
    name = module.partition(".")[0]
    if name not in NAMES:
        return
    for file in _files(module):
        if OURS / name not in file.resolve().parents:
            raise StartRefused(f"{module}: {OURS / name / '__init__.py'} hides {file}. {_REMEDY}")


def _files(module: str) -> Iterator[Path]:
    """Yield the files that could be this module, in the order in which Python looks."""
    for entry in sys.path:
        place = Path(entry, *module.split("."))
        yield from (file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file())
