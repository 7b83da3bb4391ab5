"""Log events as JSON lines on stderr: short fields, no secrets."""

from __future__ import annotations

import logging
import re
import sys
from datetime import datetime
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from sluice.core.runtime.telemetry import Event

FIELD = 256
"""Characters of one field."""
TRACE = 4_000
"""Characters of a traceback, of which the end is kept."""

LEVELS: dict[Event, int] = {
    Event.STARTED: logging.INFO,
    Event.STOPPING: logging.INFO,
    Event.STOPPED: logging.INFO,
    Event.SERVER_AWAY: logging.WARNING,
    Event.SERVER_BACK: logging.INFO,
    Event.WRITES_REFUSED: logging.WARNING,
    Event.RABBITMQ_ABSENT: logging.WARNING,
    Event.PULLING_STARTED: logging.WARNING,
    Event.PULLING_ENDED: logging.INFO,
    Event.DOUBTED: logging.WARNING,
    Event.VIOLATED: logging.ERROR,
    Event.DUTY_FAILED: logging.ERROR,
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

_SECRET = re.compile(r"(slc_[A-Za-z0-9]{12})_[A-Za-z0-9]{32}_[0-9a-f]{8}|(://[^:/@\s]*:)[^@/\s]+(?=@)")


class JsonLines(OrjsonFormatter):
    """A record as one line; whatever was passed as `extra` becomes a field."""

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "trace"},
            timestamp="at",
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Cut and clean every field."""
        return {name: clean(value, name) for name, value in super().process_log_record(log_data).items()}


def clean(value: Any, name: str = "") -> Any:
    """Make a field fit to be logged: short, and without secrets."""
    if isinstance(value, int | float | bool | None):
        return value
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    text = _SECRET.sub(r"\1\2***", text)
    short = text[-TRACE:] if name in ("trace", "traceback") else text[:FIELD]
    return short.encode("utf-8", "replace").decode()


def log_to_stderr(level: str) -> None:
    """Send every logger of this process to stderr as JSON lines. Called once, at start-up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # Each attempt to reconnect would be an error with a traceback; the broker's own events report it once.
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


class LogSink:
    """A telemetry sink that writes the events worth a line, if asked to with the tracebacks of handlers."""

    def __init__(self, process: str, tracebacks: bool = False) -> None:
        self._log = logging.getLogger(f"sluice.{process}")
        self._left_out = () if tracebacks else ("traceback",)

    def __call__(self, event: Event, count: int, fields: dict[str, Any]) -> None:
        level = LEVELS.get(event)
        if level is not None and self._log.isEnabledFor(level):
            told = {name: value for name, value in fields.items() if name not in self._left_out}
            self._log.log(level, event.value, extra=_safe(told) | {"count": count})


def _safe(fields: dict[str, Any]) -> dict[str, Any]:
    """Rename fields that a log record already has, as logging would raise."""
    return {f"{name}_" if name in _RESERVED else name: value for name, value in fields.items()}


_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "count"}
