"""A program of ours must not outlive the one that started it: that one holds its standard input open."""

from __future__ import annotations

import os
import signal
import sys
import threading


def end_with_input() -> None:
    """Terminate this program once its standard input ends."""
    threading.Thread(target=_wait_and_terminate, daemon=True).start()


def _wait_and_terminate() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
