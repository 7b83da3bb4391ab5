"""Values that handlers log and that are hard to write down."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

from hypothesis import strategies as st


class Silent:
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class Leaving:
    """Asks to end when it is asked for its text."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Colour(StrEnum):
    """A text by another name."""

    RED = "red"


class Size(IntEnum):
    """A number by another name."""

    LARGE = 7


class Halved(float):
    """A number of a library, as numpy has them."""


ANY_TEXT = st.text(st.characters(codec=None), max_size=60)
ANY_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 2**64])
    | st.floats()
    | ANY_TEXT
    | st.binary(max_size=20)
    | st.builds(Silent)
    | st.sampled_from([Colour.RED, Size.LARGE, Halved(0.5), object, ValueError("why")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ANY_NAME = ANY_TEXT | st.sampled_from(
    ["level", "logger", "at", "trace", "job_id", "kind", "attempt", "password"]
)
