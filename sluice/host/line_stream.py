"""Stand in for stdout and stderr in a host: each printed line becomes a line of the log."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from threading import get_ident
from typing import Any, BinaryIO

from sluice.host.current_job import JobRef, current_job
from sluice.host.log_line import MESSAGE, LogLine, fields_of_job
from sluice.host.plain_value import cut

LEVELS = {"stdout": logging.INFO, "stderr": logging.WARNING}


class LineStream(io.TextIOBase):
    """A text stream for code that prints. Half lines wait for their end, apart for each job and thread.

    There is no lock: `__del__` and signal handlers print as well, in the middle of a `write`.
    """

    mode = "w"
    encoding = "utf-8"
    errors = "replace"
    line_buffering = True
    write_through = False

    def __init__(self, name: str, real: BinaryIO, send: Callable[[LogLine, JobRef | None], object]) -> None:
        self.name = f"<{name}>"
        self.buffer = real
        self._logger = name
        self._level = LEVELS[name]
        self._send = send
        self._forked = False
        self._held: dict[tuple[int, JobRef | None], str] = {}

    def write(self, text: str, /) -> int:
        """Send the lines that are complete, and hold the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._forked:
            return self._write_through(text)
        job = current_job()
        key = (get_ident(), job)
        held = self._held.pop(key, "") + text
        if "\n" in text or "\r" in text:
            *lines, held = held.replace("\r", "\n").split("\n")
            for line in lines:
                self._send_line(line, job)
        if held:
            self._held[key] = held[: MESSAGE + 1]  # one more, so that it shows that it was cut
        return len(text)

    def flush(self) -> None:
        """Flush what was written to `buffer`. Half lines go on waiting: many flush after every word."""
        if not self.buffer.closed:
            self.buffer.flush()

    def flush_partial(self, job: JobRef | None) -> None:
        """Send the half lines of a job, or with None those of all."""
        self.flush()
        for key in list(self._held):
            if job is None or key[1] == job:
                self._send_line(self._held.pop(key, ""), key[1])

    def leave_to_child(self) -> None:
        """Write to the file descriptor from now on: this is a fork, and the lines of its parent are not its own."""
        self._held.clear()
        self._forked = True

    def fileno(self) -> int:
        """Return the real descriptor, which programs inherit."""
        return self.buffer.fileno()

    def isatty(self) -> bool:
        """Return False: nobody looks at it."""
        return False

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Stay open: the next job prints as well."""

    def detach(self) -> BinaryIO:
        """Return the real stream, as code does that sets an encoding."""
        return self.buffer

    def reconfigure(self, **_options: Any) -> None:
        """Do nothing: any text can be written as it is."""

    def _send_line(self, line: str, job: JobRef | None) -> None:
        if line and not line.isspace():
            self._send(LogLine(self._level, self._logger, cut(line, MESSAGE), fields_of_job(job)), job)

    def _write_through(self, text: str) -> int:
        os.write(self.buffer.fileno(), text.encode(errors="replace"))
        return len(text)
