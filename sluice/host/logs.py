"""Catch all that the code in a host prints, logs and warns of, and send it line by line."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic, sleep
from types import TracebackType
from typing import NamedTuple

from sluice.core.runtime.loggers import log_through
from sluice.host.current_job import JobRef, current_job
from sluice.host.flood import FloodGate
from sluice.host.kept_open import keep_open
from sluice.host.line_stream import LEVELS, LineStream
from sluice.host.log_line import LogLine, line_of, unformatted
from sluice.host.plain_value import name_of, plain_text

LOG = logging.getLogger("sluice.host")
PATIENCE_S = 1.0
"""Seconds that a line may take to be formatted before it is sent without."""


class Capture(NamedTuple):
    """What a host has put in place of the usual."""

    gate: FloodGate
    handler: LineHandler
    streams: tuple[LineStream, LineStream]


_capture: Capture | None = None


def capture(level: int, send: Callable[[LogLine], None]) -> None:
    """Send every line from now on. Called once in a host, before anything of a user is loaded.

    `send` is called in any thread, and within itself.
    """
    global _capture
    gate = FloodGate(send)
    handler = LineHandler(gate)
    keep_open()
    stdout, stderr = (_stream(name, gate, level) for name in LEVELS)
    log_through(handler, level)
    sys.stdout, sys.stderr = stdout, stderr
    _catch_what_nobody_catches()
    threading.Thread(target=handler.watch, name="late-log-lines", daemon=True).start()
    _capture = Capture(gate, handler, (stdout, stderr))


def flush_partial(job: JobRef | None = None) -> None:
    """Send the half lines of a job that ends, or with None those of all."""
    if _capture:
        for stream in _capture.streams:
            stream.flush_partial(job)


def finish_job(job: JobRef) -> None:
    """Send what is left of a job that ended: its half lines, and how many lines were cut."""
    flush_partial(job)
    if _capture:
        _capture.gate.finish_job(job)


class LineHandler(logging.Handler):
    """The only handler of the root logger: makes lines of records.

    It takes no lock: the `__str__` of an argument may log, or never return, and other threads go on logging.
    """

    def __init__(self, gate: FloodGate) -> None:
        super().__init__()
        self._gate = gate
        self._begun: dict[int, tuple[float, logging.LogRecord, JobRef | None]] = {}

    def handle(self, record: logging.LogRecord) -> bool:
        """Do as the base class does, without its lock."""
        try:
            passed = self.filter(record)
        except Exception:  # noqa: BLE001  a filter that a job has added, for all jobs
            passed = True
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, even if formatting it fails; what is too late was sent by `watch`."""
        job = current_job()
        self._begun[id(record)] = (monotonic(), record, job)
        try:
            line = line_of(record, job)
        except Exception as error:  # noqa: BLE001  a record holds user code, and the line must not be lost
            line = unformatted(record, job, name_of(error))
        except BaseException as error:  # the same for those who ask to end, who are obeyed
            self._send(record, unformatted(record, job, name_of(error)))
            raise
        self._send(record, line)

    def watch(self) -> None:
        """Send lines whose formatting hangs, for ever. Runs in a thread of its own."""
        while True:
            sleep(PATIENCE_S)
            self.send_late(monotonic() - PATIENCE_S)

    def send_late(self, before: float) -> None:
        """Send lines unformatted that were begun before this time."""
        for begun, record, job in list(self._begun.values()):
            if begun < before:
                self._send(record, unformatted(record, job, "it takes too long"))

    def _send(self, record: logging.LogRecord, line: LogLine) -> None:
        """Send a line unless it was sent."""
        begun = self._begun.pop(id(record), None)
        if begun:
            self._gate(line, begun[2])


def _stream(name: str, gate: FloodGate, level: int) -> LineStream:
    """Make the stream in the place of `sys.stdout` or `sys.stderr`."""
    real = getattr(sys, f"__{name}__").buffer
    return LineStream(name, real, gate if LEVELS[name] >= level else _drop)


def _drop(_line: LogLine, _job: JobRef | None) -> None:
    """Do nothing: the level says that such lines are not wanted."""


def _catch_what_nobody_catches() -> None:
    """Log warnings, and exceptions that end a thread or come from a finalizer."""
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread
    sys.unraisablehook = _log_unraisable
    sys.excepthook = _write_last_words


def _log_end_of_thread(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):  # as the default does
        name = args.thread.name if args.thread else "?"
        _log_error(f"an exception ended the thread {name}", args.exc_value)


def _log_unraisable(args: sys.UnraisableHookArgs) -> None:
    message = args.err_msg or "Exception ignored in"
    _log_error(f"{message}: {plain_text(args.object, 200)}", args.exc_value)


def _log_error(message: str, error: BaseException | None) -> None:
    LOG.disabled = False  # a dictConfig() in the module of a handler disables every logger there was
    LOG.error("%s", message, exc_info=error)


def _write_last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write why the host itself ends to the real stderr, as nothing is sent any more."""
    traceback.print_exception(kind, error, trace, file=sys.__stderr__)


def _leave_to_child() -> None:
    """Let a fork of this process write to the real descriptors: the socket belongs to its parent."""
    if _capture:
        _capture.gate.send = _write_to_stderr
        for stream in _capture.streams:
            stream.leave_to_child()


def _write_to_stderr(line: LogLine) -> None:
    text = f"{logging.getLevelName(line.level)} {line.logger}: {line.message}\n"
    os.write(2, (text + f"{line.trace}\n" * bool(line.trace)).encode())


os.register_at_fork(after_in_child=_leave_to_child)
