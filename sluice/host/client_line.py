"""Which lines of a handler its client reads, and how: what was logged with the logger of the job, without secrets."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from sluice.host.blanking import BLANK, blank_secrets, names_secret
from sluice.host.flood import LINES_CUT
from sluice.host.log_line import LogLine
from sluice.host.plain_value import Plain, cut
from sluice.job_logger import LOGGER

MESSAGE = 2_000
FIELD = 500
MOST_FIELDS = 20
"""Characters and fields of a line as a client reads it: less than the operator's log shows."""
LONGEST = 16 * 1024
"""Bytes of a line with its fields, beyond which it is shown without them."""

OF_JOB = frozenset({"job_id", "kind", "attempt", "trace_id"})
"""Fields that name the job, which the client knows."""


def is_for_client(line: LogLine) -> bool:
    """Say whether a client may read this line. What else is printed and logged, by libraries perhaps, is for operators alone."""
    return line.logger == LOGGER or (line.logger == "sluice.host" and line.message == LINES_CUT)


def encode_line(line: LogLine, now: datetime | None = None) -> bytes:
    """Encode a line as its client reads it. Tracebacks are for operators."""
    fields = {name: value for name, value in line.fields.items() if name not in OF_JOB}
    shown: dict[str, Any] = {
        "at": now or datetime.now(UTC),
        "level": logging.getLevelName(line.level).lower(),
        "attempt": line.fields.get("attempt"),
        "message": cut(blank_secrets(line.message), MESSAGE),
        "fields": {name: _clean(name, value) for name, value in islice(fields.items(), MOST_FIELDS)},
    }
    encoded = orjson.dumps(shown, option=orjson.OPT_UTC_Z)
    return (
        encoded if len(encoded) <= LONGEST else orjson.dumps(shown | {"fields": {}}, option=orjson.OPT_UTC_Z)
    )


def _clean(name: str, value: Plain) -> Plain:
    if names_secret(name) and value is not None:
        return BLANK
    return cut(blank_secrets(value), FIELD) if isinstance(value, str) else value
