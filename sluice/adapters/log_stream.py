"""Write log lines without waiting for their reader: a process whose collector stands still has to go on."""

from __future__ import annotations

import logging
from queue import Full, Queue
from threading import Thread
from time import monotonic, sleep
from typing import TextIO

MOST_LINES = 5_000
"""Lines that wait for the reader; more are lost, and counted."""
LAST_S = 1.0
"""Seconds at the end of the process for what still waits."""
LOST = '{{"level":"WARNING","logger":"sluice.logs","message":"lines_lost","count":{count}}}\n'


class LogStream:
    """Passes lines on to another stream, in a thread."""

    def __init__(self, stream: TextIO, most: int = MOST_LINES) -> None:
        self._stream, self._lost = stream, 0
        self._lines: Queue[str] = Queue(most)
        Thread(target=self._pass_on, name="log-stream", daemon=True).start()

    def __repr__(self) -> str:
        return f"<LogStream: {self._lines.qsize()} lines wait>"

    def write(self, line: str) -> None:
        """Pass a line on, or lose it."""
        try:
            if self._lost:
                self._lines.put_nowait(LOST.format(count=self._lost))
                self._lost = 0
            self._lines.put_nowait(line)
        except Full:
            self._lost += 1

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""

    def finish(self, most_s: float = LAST_S) -> None:
        """Wait until all is written, but not for long."""
        until = monotonic() + most_s
        while self._lines.unfinished_tasks and monotonic() < until:
            sleep(0.01)

    def _pass_on(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more, or it is closed
                pass
            finally:
                self._lines.task_done()


class LogHandler(logging.StreamHandler[LogStream]):
    """Writes to a LogStream. `logging.shutdown`, which Python calls at the end as well, waits for what is on its way."""

    def close(self) -> None:
        """Wait until all is written, but not for long."""
        self.stream.finish()
        super().close()
