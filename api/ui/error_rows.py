"""Errors as pages show them: one line in a list, groups with their hours."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.ui.rendering import sparkline
from sluice.core.listing import ErrorGroup, ErrorMark

HOURS = 24
LINE = 200
"""Characters of an error in a list."""


def first_line(error: bytes | None) -> str:
    """Return the first line of an error, cut to what a list has room for."""
    if not error:
        return ""
    known = orjson.loads(error)
    text = str(known.get("detail") or known.get("title") or known.get("type") or "")
    return next(iter(text.splitlines()), "")[:LINE]


def show_group(group: ErrorGroup, now: datetime | None = None) -> dict[str, Any]:
    """Show a group of failures."""
    error = orjson.loads(group.error or b"{}")
    title, line = error.get("title") or error.get("type") or "Failed", first_line(group.error)
    hours = _by_hour(group, now or datetime.now(UTC))
    return {
        "fingerprint": group.fingerprint, "kind": group.kind, "state": group.state, "count": group.failures,
        "title": title, "line": "" if line == title else line,
        "first": group.oldest, "newest": group.newest, "example": group.example,
        "back": group.back_version if group.mark == ErrorMark.RESOLVED and group.back_at else None,
        "spark": sparkline(hours, f"Failures in each of the last {HOURS} hours, {sum(hours)} in all"),
    }  # fmt: skip


def _by_hour(group: ErrorGroup, now: datetime) -> list[int]:
    this = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    counts = Counter(hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for hour in group.hours)
    return [counts[this - timedelta(hours=back)] for back in reversed(range(HOURS))]
