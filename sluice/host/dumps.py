"""Read what Python's faulthandler writes: where each thread of a process stood when it was stopped or died."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path

_THREAD = re.compile(r"^(?=(?:Current thread|Thread|Stack) .*most recent call first)", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_LOOP = (str(Path(__file__).with_name("serving.py")), "_run")
"""Where the thread of an event loop stands that runs nothing."""
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


def functions_that_block(dump: str) -> set[tuple[str, str]]:
    """Find the functions (file and name) of which one blocks the event loop of the process that wrote this.

    They stand on the stack of the loop's own thread. If that only waits to go on, another thread keeps it from doing so.
    """
    own, *others = map(_functions, _threads(dump) or [""])
    return set(own) if own[:1] != [_LOOP] else set().union(*others)


def _functions(thread: str) -> list[tuple[str, str]]:
    return [(_unescape(frame[1]), _unescape(frame[3])) for frame in _FRAME.finditer(thread)]


def _threads(dump: str) -> list[str]:
    """Split a dump into threads, in the order in which they are looked at."""
    threads = _THREAD.split(dump)[:0:-1]
    return sorted(threads, key=lambda thread: not thread.startswith("Current"))


def _unescape(text: str) -> str:
    """Put back the characters that a dump writes in ASCII."""
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), text)
