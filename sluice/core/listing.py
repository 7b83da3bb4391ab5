"""Which jobs a list or a bulk change selects, and how far a page of them reached."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import orjson

from sluice.core.job import TERMINAL, Job, JobState

UNFINISHED = frozenset(JobState) - TERMINAL
CLOCKS_S = 60.0
"""Seconds by which the clock that made an id may differ from the database's, which sets `created_at`."""
ABOVE_ALL = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_LAST_MS = 2**48 - 1


class Filter(NamedTuple):
    """What the wanted jobs have in common; empty or None means any.

    `created_after` is included, `created_before` is not; `error` is the fingerprint of an error.
    """

    states: tuple[str, ...] = ()
    kind: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    error: str | None = None

    @property
    def spelling(self) -> bytes:
        """The canonical form of the filter, however it was written."""
        return orjson.dumps([sorted(set(self.states)), *self[1:]])

    @property
    def lowest_id(self) -> str:
        """No matching job has an id below this one."""
        return first_id(self.created_after.timestamp() - CLOCKS_S) if self.created_after else first_id(0)

    @property
    def highest_id(self) -> str:
        """All matching jobs have an id below this one."""
        return first_id(self.created_before.timestamp() + CLOCKS_S) if self.created_before else ABOVE_ALL


class Found(NamedTuple):
    """Jobs, newest first; `below` is the id below which there may be more, None at the end."""

    jobs: list[Job]
    below: str | None


class ErrorGroup(NamedTuple):
    """Failures with one fingerprint; `example` is the id of the newest, `error` its problem object as JSON bytes."""

    fingerprint: str | None
    kind: str
    failures: int
    newest: datetime
    example: str
    error: bytes | None


def first_id(at: float) -> str:
    """Return the lowest id that could be made at this time, in seconds since the epoch."""
    digits = f"{min(max(int(at * 1000), 0), _LAST_MS):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
