"""What hostile handlers leave behind, marked with the place it was started from and the run it belongs to."""

from __future__ import annotations

import os
import subprocess
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

RUN = "HOSTILE_RUN"
"""The environment variable that every process of a run inherits."""

PLACE: ContextVar[str] = ContextVar("place", default="nowhere")
"""Where the handler runs that is being called."""

AGE_S = 600
"""Longer than any run."""


def mark(place: str) -> None:
    """Give this process a name by which it is found, for a fork has the command line of its parent."""
    Path("/proc/self/comm").write_text(name(place))


def linger(place: str) -> None:
    """Do nothing for as long as nobody ends it."""
    mark(place)
    time.sleep(AGE_S)


def program(**options: Any) -> subprocess.Popen[bytes]:
    """Start a program that nobody waits for."""
    return subprocess.Popen(arguments(), executable="/bin/sleep", **options)


def arguments() -> list[str]:
    """Return the command line of such a program."""
    return [f"{name(PLACE.get())}-{os.environ.get(RUN, '')}", str(AGE_S)]


def name(place: str) -> str:
    """Return the name of what was left behind in this place."""
    return f"stray-{place}"
