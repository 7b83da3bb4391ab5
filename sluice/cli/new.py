"""`sluice new`: write a project of one's own: a kind, its test, and what builds, checks and runs it."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from sluice import __version__
from sluice.cli.usage import examples
from sluice.core.taken_names import NAMES

NEW = examples(
    "sluice new acme",
    "sluice new work/acme-media",
    status={0: "written", 2: "refused: the name or the directory is not fit, or cannot be written; stderr says which"},
)  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40
_OF_A_PROJECT = {"tests", "docs", "infra"}
_FILES = {
    "README.md": "README.md",
    "Dockerfile": "Dockerfile",
    ".dockerignore": "dockerignore",
    ".gitignore": "gitignore",
    ".github/workflows/ci.yml": "ci.yml",
    "compose.override.yml": "compose.override.yml",
    "pyproject.toml": "pyproject.toml",
    "requirements.txt": "requirements.txt",
    "requirements-dev.txt": "requirements-dev.txt",
    "@package@/__init__.py": "",
    "@package@/words.py": "words.py",
    "tests/test_words.py": "test_words.py",
}
"""What is written, by the template of which it is made; an empty name stands for an empty file."""


def new(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where to write it; its last part names the project")
    ],
) -> None:
    """Write a project of your own.

    It has a kind, its test, an image on top of Sluice's, services for Compose, a CI workflow and a page that says how to run them. The directory is made, or empty.
    """
    place = directory.resolve()
    package = _package_of(place.name)
    _refuse_what_is_taken(place)
    words = {"name": place.name, "package": package, "kind": package, "version": __version__}
    for path, template in _FILES.items():
        text = (
            files("sluice.cli").joinpath("project", f"{template}.tmpl").read_text("utf-8") if template else ""
        )
        file = place / _filled(path, words)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(_filled(text, words))
    typer.echo(f"written: {place}; its README.md says how to test and run it")


def _package_of(name: str) -> str:
    """Return the name of the package in a project of this name. Raises BadParameter where there can be none."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise typer.BadParameter(
            f"{name[:_LONGEST]!r} is no name of a project: use 1 to {_LONGEST} of a-z 0-9 - _, the first a letter, the last no - or _"
        )
    package = name.replace("-", "_")
    if package in NAMES or package in _OF_A_PROJECT or keyword.iskeyword(package):
        raise typer.BadParameter(
            f"the name {package} is taken: a package of it could not be imported beside Sluice"
        )
    if package in sys.stdlib_module_names or PathFinder.find_spec(package) is not None:
        raise typer.BadParameter(
            f"the name {package} is that of a module which is installed here, and would hide it"
        )
    return package


def _refuse_what_is_taken(place: Path) -> None:
    """Raise BadParameter if something is there that writing could change."""
    if place.is_dir():
        found = next(iter(place.iterdir()), None)
        if found is not None:
            raise typer.BadParameter(f"{place} is not empty: {found.name} is in it")
    elif place.exists() or place.is_symlink():
        raise typer.BadParameter(f"{place} is no directory")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, meant in words.items():
        text = text.replace(f"@{word}@", meant)
    return text
