"""Whether a run was good enough: its rows against the thresholds. Knows nothing about the tool that made the load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from loadtests import config

JOB = "JOB"
"""The method of rows that are no requests: the time from a submit to its result."""

REFUSED = ", refused"
"""Ends the name of a row of 429 and 503 with Retry-After, which a busy server should answer."""

POLL = "poll as advised"
POLLED = "submit, then poll"


class Row(NamedTuple):
    """What was asked for, how often, and how that went. Times in milliseconds."""

    method: str
    name: str
    asked: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def is_refusal(self) -> bool:
        """Tell whether these were refused, as a busy server may."""
        return self.name.endswith(REFUSED)


def breaches(rows: Iterable[Row], wanted: Iterable[str], exceptions: Iterable[str] = ()) -> list[str]:
    """Return everything that was not as demanded, in words; empty for a good run.

    `wanted` names the rows that must have an answer: a run in which nothing was asked for proves nothing.
    """
    rows = list(rows)
    return [*_unanswered(rows, wanted), *_errors(rows), *exceptions, *_slow(rows), *_polls(rows)]


def polls_per_job(rows: Iterable[Row]) -> float | None:
    """Return the status requests per job that was polled to its end; None if there was no such job."""
    counts = {row.name.removesuffix(REFUSED): 0 for row in rows}
    for row in rows:
        counts[row.name.removesuffix(REFUSED)] += row.asked
    return counts.get(POLL, 0) / counts[POLLED] if counts.get(POLLED) else None


def _unanswered(rows: list[Row], wanted: Iterable[str]) -> Iterator[str]:
    answered = {row.name for row in rows if row.asked > row.errors}
    return (f"{name}: never answered as it should be" for name in wanted if name not in answered)


def _errors(rows: list[Row]) -> Iterator[str]:
    return (f"{row.name}: {row.errors} of {row.asked} went wrong" for row in rows if row.errors)


def _slow(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if row.method != JOB and row.p95_ms >= config.P95_MS:
            yield f"{row.name}: p95 is {row.p95_ms:.0f} ms, not below {config.P95_MS:.0f}"


def _polls(rows: list[Row]) -> Iterator[str]:
    found = polls_per_job(rows)
    if found is not None and found > config.POLLS_PER_JOB:
        yield f"{found:.1f} status requests per polled job, more than {config.POLLS_PER_JOB}"
