"""One line of the log, on its way from a handler to the log of the consumer."""

from __future__ import annotations

import logging
import traceback
from itertools import islice
from typing import Any, NamedTuple

from sluice.host.current_job import JobRef
from sluice.host.plain_value import Plain, cut, name_of, plain_text, plain_value
from sluice.job_logger import RECORD_NAMES, free_name

MESSAGE = 8_000
FIELD = 2_000
TRACE = 8_000
"""Characters that a host sends, twice as many as are written: so no secret is cut in half before it is blanked."""
MOST_FIELDS = 50
NAME = 64
HIGHEST_LEVEL = 100

TAKEN = RECORD_NAMES | {"at", "level", "logger", "trace"}
"""Names of fields that a record or a written line has for itself."""


class LogLine(NamedTuple):
    """What one line says. All values are plain, so a frame can carry them."""

    level: int
    logger: str
    message: str
    fields: dict[str, Plain]
    trace: str = ""


def line_of(record: logging.LogRecord, job: JobRef | None = None) -> LogLine:
    """Make the line of a record. Nothing that a caller passed to its logger makes this fail."""
    return LogLine(
        _level_of(record),
        plain_text(record.name, NAME),
        _message_of(record),
        _fields_of(record, job),
        _trace_of(record),
    )


def unformatted(record: logging.LogRecord, job: JobRef | None, why: str) -> LogLine:
    """Make the line of a record that cannot be formatted: what it was going to say, and why it does not."""
    template = record.msg if isinstance(record.msg, str) else f"<{name_of(record.msg)}>"
    return LogLine(
        _level_of(record),
        plain_text(record.name, NAME),
        cut(f"{template} (not formatted: {why})", MESSAGE),
        fields_of_job(job),
    )


def fields_of_job(job: JobRef | None) -> dict[str, Plain]:
    """Return the fields that name a job."""
    if job is None:
        return {}
    fields: dict[str, Plain] = {"job_id": job.job_id, "kind": job.kind, "attempt": job.attempt}
    return fields | {"trace_id": job.trace_id} if job.trace_id else fields


def write(line: LogLine) -> None:
    """Hand a line of a host to `logging`, which writes it like a line of this process."""
    root = logging.getLogger()  # not the line's own: loggers last for ever, and strangers choose their names
    if root.isEnabledFor(line.level):
        record = logging.LogRecord(line.logger, line.level, "", 0, line.message, None, None)
        record.__dict__.update(line.fields)
        record.exc_text = line.trace or None
        root.handle(record)


def _level_of(record: logging.LogRecord) -> int:
    level: object = record.levelno  # a filter may have set anything
    return min(max(level, 0), HIGHEST_LEVEL) if isinstance(level, int) else logging.ERROR


def _message_of(record: logging.LogRecord) -> str:
    if not record.args:
        return plain_text(record.msg, MESSAGE)
    try:
        return cut(record.getMessage(), MESSAGE)
    except Exception as error:  # noqa: BLE001  arguments are user code, and the line must not be lost
        why = plain_text(error, FIELD)
        return cut(
            f"{plain_text(record.msg, FIELD)} % {_texts(record.args)} (not formatted: {name_of(error)}: {why})",
            MESSAGE,
        )


def _texts(args: Any) -> str:
    """Return the arguments that have a text, and the types of those that have none."""
    values = args.values() if isinstance(args, dict) else args
    return f"({', '.join(plain_text(value, FIELD) for value in values)})"


def _fields_of(record: logging.LogRecord, job: JobRef | None) -> dict[str, Plain]:
    fields = fields_of_job(job)
    given = [(name, value) for name, value in record.__dict__.items() if name not in RECORD_NAMES]
    for name, value in islice(given, MOST_FIELDS):
        plain = plain_value(value, FIELD)
        name = plain_text(name, NAME)
        if name not in fields or fields[name] != plain:  # a JobLogger has named the job already
            fields[free_name(free_name(name, TAKEN), fields)] = plain
    if len(given) > MOST_FIELDS:
        fields[free_name("fields_cut", fields)] = len(given) - MOST_FIELDS
    return fields


def _trace_of(record: logging.LogRecord) -> str:
    """Return the traceback, or the end of a long one, where the cause is."""
    trace = record.exc_text or ""
    if not trace and record.exc_info and record.exc_info[0]:
        try:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        except Exception as error:  # noqa: BLE001  exceptions are user code, and the line must not be lost
            trace = f"{record.exc_info[0].__name__} (no traceback: {name_of(error)})"
    if record.stack_info:
        trace = f"{trace}\n{record.stack_info}".lstrip("\n")
    return cut(trace[-TRACE:], TRACE)
