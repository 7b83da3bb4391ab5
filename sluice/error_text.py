"""Put an exception into words that can be stored, whatever its own code does."""

from __future__ import annotations

import traceback

MOST_TEXT, MOST_NAME, MOST_TRACE = 2_000, 200, 20_000
"""Characters of a message, of the name of a type, and of a traceback."""


def words(error: BaseException) -> str:
    """Return the message of an exception, even of one that fails to give it."""
    try:
        return storable(str(error)[:MOST_TEXT])
    except BaseException as worse:  # noqa: BLE001  the __str__ of an exception is user code, and may even exit
        return f"(its message could not be read: {type(worse).__name__})"


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type."""
    return storable(type(error).__name__[:MOST_NAME])


def trace_of(error: BaseException) -> str:
    """Format the traceback; long ones keep their end, where the cause is."""
    try:
        return storable("".join(traceback.format_exception(error))[-MOST_TRACE:])
    except BaseException as worse:  # noqa: BLE001  it asks the exception for more than its message
        return f"(its traceback could not be read: {type(worse).__name__})"


def storable(text: str) -> str:
    """Replace what neither JSON nor the record takes: lone surrogates and U+0000."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")
