"""A program of ours must not outlive the one that started it: that one holds its standard input open."""

from __future__ import annotations

import os
import signal
import threading


def end_with_input() -> None:
    """Terminate this program once its standard input ends."""
    threading.Thread(target=_wait_and_terminate, daemon=True).start()


def _wait_and_terminate() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock a fork would inherit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
