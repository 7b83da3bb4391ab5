"""Which jobs a list or a bulk change selects, and how far a page of them reached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
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


class ErrorMark(StrEnum):
    """What somebody said of the failures with one fingerprint."""

    RESOLVED = "resolved"
    IGNORED = "ignored"


class ErrorGroup(NamedTuple):
    """Failures with one fingerprint; `example` is the id of the newest, `error` its problem object as JSON bytes.

    `hours` has the hour of each failure. `back_at` is when the first one failed after the group was marked, `back_version` the
    version of the kind for which it was accepted.
    """

    fingerprint: str | None
    kind: str
    failures: int
    newest: datetime
    example: str
    error: bytes | None
    oldest: datetime
    hours: Sequence[datetime]
    mark: str | None = None
    marked_at: datetime | None = None
    back_at: datetime | None = None
    back_version: int | None = None

    @property
    def state(self) -> str:
        """`open`, or what it was marked as; what fails once more after it was resolved is open again."""
        is_back = self.mark == ErrorMark.RESOLVED and self.back_at is not None
        return self.mark if self.mark and not is_back else "open"


def first_id(at: float) -> str:
    """Return the lowest id that could be made at this time, in seconds since the epoch."""
    digits = f"{min(max(int(at * 1000), 0), _LAST_MS):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
