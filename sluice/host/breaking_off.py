"""End a host: with its consumer, or because it lost what it was told or was to tell, and the jobs have to run elsewhere."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NoReturn

from sluice.host.processes import end_descendants

STATUS = 70
"""Exit status: an internal error, as <sysexits.h> has it."""


def break_off(error: BaseException) -> NoReturn:
    """End this process at once, with what it has started as far as that can still be done."""
    try:
        with suppress(BaseException):  # there may be no memory for words
            os.write(2, f"The host cannot go on: {type(error).__name__}: {error}\n".encode())
        with suppress(BaseException):
            end_descendants()
    finally:
        os._exit(STATUS)


def leave() -> NoReturn:
    """End this process at once, with all that it has started."""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        end_descendants()
    finally:
        os._exit(0)
