"""Standard streams that stay open, whatever a job does to them: the jobs after it need them as well."""

from __future__ import annotations

import io
import sys
from typing import Any, BinaryIO

NAMES = ("stdin", "stdout", "stderr")
"""By their descriptors."""


def keep_open() -> None:
    """Put streams that stay open in the place of the real ones, `sys.stdin` and `sys.__stdin__`, and so on."""
    for fd, name in enumerate(NAMES):
        text = _Text(_bytes_of(fd), encoding="utf-8", errors="replace", line_buffering=True)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _bytes_of(fd: int) -> BinaryIO:
    raw = _Raw(fd, "wb" if fd else "rb", closefd=False)
    raw.name = f"<{NAMES[fd]}>"
    return _Written(raw) if fd else _Read(raw)


class _Raw(io.FileIO):
    name: str

    def close(self) -> None:
        """Stay open."""


# A wrapper closes what it wraps when it is collected: `io.TextIOWrapper(sys.stdout.buffer)` would close stdout for all jobs.
class _Written(io.BufferedWriter):
    def close(self) -> None:
        """Write what waits, and stay open."""
        self.flush()

    def detach(self) -> Any:
        """Return what is beneath, and keep it."""
        self.flush()
        return self.raw


class _Read(io.BufferedReader):
    def close(self) -> None:
        """Stay open."""

    def detach(self) -> Any:
        """Return what is beneath, and keep it."""
        return self.raw


class _Text(io.TextIOWrapper):
    def close(self) -> None:
        """Write what waits, and stay open."""
        self.flush()

    def detach(self) -> Any:
        """Return what is beneath, and keep it."""
        self.flush()
        return self.buffer

    def reconfigure(self, **_options: Any) -> None:
        """Do nothing: any text can be written as it is."""
