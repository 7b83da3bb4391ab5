"""Read what Python's faulthandler writes: where each thread of a process stood when it was stopped or died."""

from __future__ import annotations

import re
import sys
from collections.abc import Container

_THREAD = re.compile(r"^(?=(?:Current thread|Thread|Stack) .*most recent call first)", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def innermost_line(dump: str, among: Container[str] | None = None) -> str:
    """Say where the code stood, as "file:line in function"; empty if the dump does not tell.

    The thread that the dump calls current is looked at first, then the main thread, which comes last in a dump. Only files
    `among` these count; without it, all that are files.
    """
    for thread in _threads(dump):
        for frame in _FRAME.finditer(thread):
            file, function = _unescape(frame[1]), _unescape(frame[3])
            if file in among if among is not None else not file.startswith("<"):
                return f"{file}:{frame[2]} in {function}"
    return ""


def functions_that_block(dump: str, among: Container[str]) -> set[tuple[str, str]]:
    """Find the functions (file and name) in these files of which one blocks the event loop of the process that wrote this.

    They stand on the stack of the loop's own thread. If there is none, another thread keeps that from going on.
    """
    own, *others = (_functions(thread, among) for thread in _threads(dump) or [""])
    return own or set().union(*others)


def _functions(thread: str, among: Container[str]) -> set[tuple[str, str]]:
    found = {(_unescape(frame[1]), _unescape(frame[3])) for frame in _FRAME.finditer(thread)}
    return {(file, function) for file, function in found if file in among}


def _threads(dump: str) -> list[str]:
    """Split a dump into threads, in the order in which they are looked at."""
    threads = _THREAD.split(dump)[:0:-1]
    return sorted(threads, key=lambda thread: not thread.startswith("Current"))


def _unescape(text: str) -> str:
    """Put back the characters that a dump writes in ASCII."""
    return _ESCAPE.sub(lambda found: _character(int(found[1] or found[2] or found[3], 16)), text)


def _character(number: int) -> str:
    """Return a character; a handler may write what looks like a dump, and names one that there is not."""
    return chr(number) if number <= sys.maxunicode else "\N{REPLACEMENT CHARACTER}"
