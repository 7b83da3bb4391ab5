"""End a host: with its consumer, or because it lost what it was told or was to tell, and the jobs have to run elsewhere."""

from __future__ import annotations

from contextlib import suppress
from os import _exit, getpid, kill, write  # bound now: a job may put something else in their place
from signal import SIG_BLOCK, SIGINT, SIGKILL, SIGTERM, pthread_sigmask
from typing import NoReturn

from sluice.host.processes import end_descendants

STATUS = 70
"""Exit status: an internal error, as <sysexits.h> has it."""


def break_off(error: BaseException) -> NoReturn:
    """End this process at once, with what it has started as far as that can still be done."""
    try:
        with suppress(BaseException):  # there may be no memory for words
            write(2, f"The host cannot go on: {type(error).__name__}: {error}\n".encode())
        with suppress(BaseException):
            end_descendants()
    finally:
        _end(STATUS)


def leave() -> NoReturn:
    """End this process at once, with all that it has started."""
    try:
        pthread_sigmask(SIG_BLOCK, {SIGTERM, SIGINT})
        end_descendants()
    finally:
        _end(0)


def _end(status: int) -> NoReturn:
    """End, even if an audit hook of a job forbids it."""
    try:
        _exit(status)
    finally:
        kill(getpid(), SIGKILL)
