"""The SQL statements by name: a folder for each Python file that sends them, `shared` for those that several send.

A `:word` in a statement stands for the text of `queries/fragments/word.sql`, where another may stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

QUERIES = Path(__file__).parent / "queries"
FRAGMENTS = QUERIES / "fragments"
_HOLE = re.compile(r"(?<!:):([a-z]\w*)")


@cache
def load_queries() -> Mapping[str, str]:
    """Load every statement by the name of its file, with its fragments filled in."""
    parts = load_fragments()
    paths = sorted(path for path in QUERIES.glob("*/*.sql") if path.parent != FRAGMENTS)
    return {path.stem: fill(fill(path.read_text(), parts), parts) for path in paths}


def load_fragments() -> dict[str, str]:
    """Load the text of every fragment by the name of its file, without the comment on top."""
    return {path.stem: split_comment(path.read_text())[1] for path in FRAGMENTS.glob("*.sql")}


def fill(text: str, parts: Mapping[str, str]) -> str:
    """Replace each name by its part."""
    return _HOLE.sub(lambda hole: parts[hole[1]], text)


def split_comment(text: str) -> tuple[str, str]:
    """Return the comment on top as one line of prose, and the SQL below it."""
    lines = text.splitlines()
    head = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    return " ".join(head), "\n".join(lines[len(head) :])
