"""Log events as JSON lines on stderr: short fields, no secrets."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from sluice.adapters.log_stream import LogHandler, LogStream
from sluice.core.runtime.loggers import log_through
from sluice.core.runtime.telemetry import Event
from sluice.host.blanking import BLANK, blank_secrets, names_secret
from sluice.host.log_line import line_of
from sluice.host.plain_value import Plain, cut
from sluice.job_logger import RECORD_NAMES, free_name

MESSAGE = 4_000
FIELD = 1_000
"""Characters of a message and of one field: with a trace they stay under 16 KiB, where Docker cuts a line in two."""
TRACE = 4_000
"""Characters of a traceback, of which the end is kept."""

LEVELS: dict[Event, int] = {
    Event.STARTED: logging.INFO,
    Event.STOPPING: logging.INFO,
    Event.STOPPED: logging.INFO,
    Event.SERVER_AWAY: logging.WARNING,
    Event.SERVER_BACK: logging.INFO,
    Event.WRITES_REFUSED: logging.WARNING,
    Event.SERVER_REFUSED: logging.ERROR,
    Event.RABBITMQ_ABSENT: logging.WARNING,
    Event.PULLING_STARTED: logging.WARNING,
    Event.PULLING_ENDED: logging.INFO,
    Event.DOUBTED: logging.WARNING,
    Event.WEBHOOK_FAILED: logging.INFO,
    Event.WEBHOOK_DISABLED: logging.WARNING,
    Event.LANE_PAUSED: logging.WARNING,
    Event.LANE_RESUMED: logging.INFO,
    Event.VIOLATED: logging.ERROR,
    Event.DUTY_FAILED: logging.ERROR,
    Event.TASK_FAILED: logging.ERROR,
    Event.CACHE_MISMATCH: logging.ERROR,
    Event.BLOCKED: logging.WARNING,
    Event.STUCK: logging.WARNING,
    Event.HOST_DIED: logging.WARNING,
    Event.HOST_RENEWED: logging.INFO,
    Event.QUARANTINED: logging.WARNING,
    Event.LEASE_LOST: logging.WARNING,
    Event.STALE: logging.WARNING,
    Event.RESCUED: logging.WARNING,
    Event.REDISPATCHED: logging.INFO,
    Event.UNROUTABLE: logging.WARNING,
    Event.DEAD_LETTER: logging.WARNING,
    Event.UNREADABLE: logging.WARNING,
    Event.FAILED: logging.WARNING,
    Event.RETRIED: logging.INFO,
}
"""Events worth a line; the others are only counted."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; whatever was passed as `extra` is a field. Nothing makes it fail."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        line = line_of(record)
        written: dict[str, Any] = {
            "level": logging.getLevelName(line.level),
            "logger": line.logger,
            "message": _clean(line.message, MESSAGE),
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        for name, value in line.fields.items():
            written[name] = _clean_field(name, value)
        if line.trace:
            written["trace"] = blank_secrets(line.trace)[-TRACE:]
        return orjson.dumps(written).decode()


def _clean(text: str, most: int) -> str:
    """Blank first: a secret that is cut in half no longer looks like one."""
    return cut(blank_secrets(text), most)


def _clean_field(name: str, value: Plain) -> Plain:
    if names_secret(name) and value is not None:
        return BLANK
    return _clean(value, FIELD) if isinstance(value, str) else value


def log_to_stderr(level: str) -> None:
    """Send every logger of this process to stderr as JSON lines. Called once, at start-up."""
    handler = LogHandler(LogStream(_own_stderr()))
    handler.setFormatter(JsonLines())
    log_through(handler, level)
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # Each attempt to reconnect would be an error with a traceback; the broker's own events report it once.
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


def _own_stderr() -> TextIO:
    """Open stderr once more, for JSON whatever the locale.

    `logging.shutdown` flushes Python's own, which would wait for ever while a thread writes there what nobody reads.
    """
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file
        return sys.stderr


def say_why(error: Exception) -> None:
    """Print the one line that says why this process ends, below all that it has logged."""
    logging.shutdown()
    print(f"sluice: {error}", file=sys.stderr)  # noqa: T201  for whoever started it


class LogSink:
    """A telemetry sink that writes the events worth a line, if asked to with the tracebacks of handlers."""

    def __init__(self, process: str, tracebacks: bool = False) -> None:
        self._log = logging.getLogger(f"sluice.{process}")
        self._tracebacks = tracebacks

    def __call__(self, event: Event, count: int, fields: dict[str, Any]) -> None:
        level = LEVELS.get(event)
        if level is None or not self._log.isEnabledFor(level):
            return
        named = {free_name(name, _TAKEN): value for name, value in fields.items() if name != "traceback"}
        record = self._log.makeRecord(
            self._log.name, level, "", 0, event.value, (), None, extra=named | {"count": count}
        )
        record.exc_text = fields.get("traceback") if self._tracebacks else None
        self._log.handle(record)


_TAKEN = RECORD_NAMES | {"count"}
