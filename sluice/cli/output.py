"""Standard output and error of a command: in whatever encoding they are, and whoever stops reading them."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

READER_GONE = 141
"""The exit status of a program that the signal SIGPIPE has ended: no answer of ours."""


def show_any_character(errors: str = "backslashreplace") -> None:
    """Let no character end the program that the terminal, or whatever reads us, cannot show; `errors` says what is written instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def leave_unsaid() -> None:
    """Drop what stderr does not take: Python would end with a status of its own for it."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _redirect_to_nowhere(sys.stderr)


def leave_unread() -> int:
    """Drop what nobody reads any more, which Python would complain of at its end; return the exit status."""
    _redirect_to_nowhere(sys.__stdout__, sys.__stderr__)
    return READER_GONE


def _redirect_to_nowhere(*streams: TextIO | None) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
