"""Make any object a plain value that can be sent and logged, whatever its `__str__` does."""

from __future__ import annotations

import math
from typing import Any

from sluice.error_text import storable

Plain = str | int | float | bool | None
LARGEST = 1 << 63
"""What JSON and MessagePack take: integers of 64 bit."""
_AS_THEY_ARE = (bool, type(None))


def plain_value(value: Any, most: int) -> Plain:
    """Keep what is plain, down to numbers of numpy; all else becomes text of at most so many characters."""
    if type(value) in _AS_THEY_ARE:
        return value  # type: ignore[no-any-return]  # the line above says what it is
    if isinstance(value, int) and -LARGEST <= value < LARGEST:
        return int.__int__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__float__(value)
    return plain_text(value, most)


def plain_text(value: Any, most: int) -> str:
    """Return the text of an object, or say that it has none: without what UTF-8 cannot carry, and cut."""
    try:
        text = str.__str__(value) if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001  it is user code, and the line must not be lost
        text = f"<{name_of(value)} without text: {name_of(error)}>"
    return cut(text, most)


def cut(text: str, most: int) -> str:
    """Cut a text, showing that it was, and replace what UTF-8 cannot carry."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text if text.isascii() and "\0" not in text else storable(text)


def name_of(value: object) -> str:
    """Return the name of the type of an object."""
    return storable(type(value).__name__)
