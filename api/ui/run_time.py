"""For how long a job has run."""

from __future__ import annotations

from datetime import UTC, datetime


def run_time_s(runs: bool, started: datetime | None, finished: datetime | None) -> float | None:
    """Return the seconds from the start of the newest attempt to its end, or to now if it runs; None while the job waits."""
    ended = finished or (datetime.now(UTC) if runs else None)
    return (ended - started).total_seconds() if started and ended else None
