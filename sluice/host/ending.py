"""Carry the ending of an attempt from a host to its consumer, as plain values that cannot fail to be read there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sluice.core.outcome import (
    ChildDied,
    Ending,
    FilesGone,
    HandlerFailed,
    ImportFailed,
    OutOfMemory,
    Released,
    TimedOut,
    plain_ending,
)
from sluice.error_text import MOST_NAME, MOST_TEXT, MOST_TRACE, storable, trace_of, type_name, words
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater

Value = str | bytes | float


class NotBegun(Exception):
    """The run could not begin, so another host is to try."""


class Disturbed(Exception):
    """The run ended by what may be another job's doing. If there was no other, `ending` is how it ended."""

    def __init__(self, ending: Ending) -> None:
        super().__init__()
        self.ending = ending


CANCELLED_ITSELF = HandlerFailed("CancelledError", "The handler cancelled its own task.", "")
CHILD_LOST = HandlerFailed(
    "ChildProcessError",
    "It waited for a program whose end was taken by SIGCHLD, os.wait() or waitpid(-1) in the same process.",
    "",
)
INTERRUPTED = HandlerFailed("InterruptedError", "Something raised an error just as the handler ended.", "")

_TEXTS: dict[str, type[Exception]] = {
    "gave-up": GiveUp,
    "bad-input": BadInput,
    "bad-output": BadOutput,
    "out-of-memory": OutOfMemory,
    "timed-out": TimedOut,
    "released": Released,
}
"""Endings that are a word and a text."""

_ERRORS: dict[str, type[HandlerFailed]] = {
    "import-failed": ImportFailed,
    "files-gone": FilesGone,
    "raised": HandlerFailed,
}
"""Endings that are a word, a title, a text and a traceback."""


def raised(error: BaseException) -> BaseException:
    """Read what a handler raised; endings that only Sluice gives are not taken from it."""
    plain = plain_ending(error)
    if isinstance(plain, Released | TimedOut | ChildDied):
        return HandlerFailed(type_name(plain), words(plain), trace_of(error))
    return error


class Ended(NamedTuple):
    """How an attempt ended: `output`, `later`, or a word of the tables above, and its values.

    Not for `decode_ending`: `not-begun`, and `disturbed` before word and values.
    """

    word: str
    values: tuple[Value, ...]


def encode_ending(ending: Ending) -> Ended:
    """Write an ending, whatever a handler raised."""
    match ending:
        case NotBegun():
            return Ended("not-begun", ())
        case Disturbed():
            word, values = encode_ending(ending.ending)
            return Ended("disturbed", (word, *values))
    match plain_ending(ending):
        case bytes() as output:
            return Ended("output", (output,))
        case RetryLater() as later:
            return Ended("later", (later.after_s, later.why))
        case HandlerFailed() as error:
            word = next(word for word, kind in _ERRORS.items() if isinstance(error, kind))
            return Ended(word, (error.title, words(error), error.trace))
        case error:
            return _encode_text(error)


def decode_ending(word: str, values: Sequence[Value]) -> Ending:
    """Read an ending. Raises ValueError if it is none that a host may send."""
    match word, values:
        case "output", (bytes() as output,):
            return output
        case "later", (float() | int() as after_s, str() as why):
            return RetryLater(after_s, _cut(why, MOST_TEXT))
        case _, (str() as text,) if word in _TEXTS:
            return _TEXTS[word](_cut(text, MOST_TEXT))
        case _, (str() as title, str() as text, str() as trace) if word in _ERRORS:
            return _ERRORS[word](_cut(title, MOST_NAME), _cut(text, MOST_TEXT), _cut(trace, MOST_TRACE))
        case _:
            raise ValueError(f"a host sent an ending that there is not: {word!r:.100}")


def _encode_text(error: BaseException) -> Ended:
    for word, kind in _TEXTS.items():
        if isinstance(error, kind):
            return Ended(word, (words(error),))
    return Ended("raised", (type_name(error), words(error), ""))


def _cut(text: str, most: int) -> str:
    """Trust no host to have done this: a handler can write to its pipe."""
    return storable(text[:most])
