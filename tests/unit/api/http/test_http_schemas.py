"""Pointers into a body."""

from __future__ import annotations

from api.http.schemas import pointer


def test_pointers_are_escaped() -> None:
    assert pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"
