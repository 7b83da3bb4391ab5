"""Standard streams that the caller has closed, as `program <&- >&- 2>&-` does."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Put /dev/null in the place of stdin, stdout and stderr where they are closed.

    Call it before anything is opened: the first file or connection would take their number, and a child process, or libuv,
    would take it for the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            stream = os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
