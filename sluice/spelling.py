"""Find the name that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the one of these names that this one was most likely meant to be; empty if none is near."""
    return next(iter(get_close_matches(name, list(known), 1, 0.7)), "")
