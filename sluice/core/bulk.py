"""The bulk act: one thing done to all jobs that fit a filter, a canary first, in batches at a rate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from sluice.core.errors import Flaw, Invalid
from sluice.core.job import TERMINAL, JobState
from sluice.core.listing import UNFINISHED, Filter

ACTS = ("cancel", "retry", "delete")
MOST_BATCH = 200
"""Jobs of one batch, and of a canary."""
MOST_UNFINISHED = 20
"""Bulk acts of one tenant that have not ended."""
ENDED = frozenset({"finished", "stopped", "aborted"})
STATES = ("counting", "waiting", "canary", "watching", "running", *sorted(ENDED))
_CHANGED: Mapping[str, frozenset[JobState]] = {
    "cancel": UNFINISHED,
    "retry": frozenset({JobState.FAILED}),
    "delete": TERMINAL,
}
"""The states of jobs that each act changes."""
_WHY = {
    "cancel": "Only scheduled, queued and running jobs can be cancelled.",
    "retry": "Only failed jobs can be tried again.",
    "delete": "Only finished jobs can be deleted; cancel the others first.",
}


class NewBulkAct(NamedTuple):
    """A bulk act that is not in the record yet; `dry_run`: it counts first, and waits. It is kept for `keep_s` seconds after its end."""

    id: str
    tenant: str
    act: str
    wanted: Filter
    canary: int
    rate: float
    most_failed: float
    dry_run: bool
    keep_s: float
    key: str | None = None
    request_hash: bytes | None = None


class BulkAct(NamedTuple):
    """A bulk act as it stands. `version` rises with every step; jobs with ids of `below` or higher are done with.

    `due_in_s` is when the next step is due, in seconds; None: it takes none by itself.
    """

    id: str
    tenant: str
    act: str
    wanted: Filter
    canary: int
    rate: float
    most_failed: float
    state: str
    reason: str | None
    version: int
    below: str | None
    matched: int | None
    changed: int
    canary_failed: int | None
    created_at: datetime
    finished_at: datetime | None
    due_in_s: float | None

    @property
    def rests(self) -> bool:
        """Whether it takes no step by itself: it has ended, or waits for a `go`."""
        return self.state == "waiting" or self.state in ENDED

    @property
    def at_once(self) -> int:
        """Jobs of its next batch at most: those of a second, and no more than the canary has left."""
        if self.state == "counting":
            return MOST_BATCH
        left = self.canary - self.changed if self.state == "canary" else MOST_BATCH
        return max(1, min(MOST_BATCH, left, int(self.rate)))

    @property
    def there_before(self) -> Filter:
        """The filter, with nothing that came after the act."""
        before = self.wanted.created_before or self.created_at
        return self.wanted._replace(created_before=min(before, self.created_at))


def narrow(act: str, wanted: Filter) -> Filter:
    """Narrow a filter to the jobs that an act changes. Raises Invalid if it names others, or nothing where that would be everything."""
    if wanted == Filter() and act != "retry":
        raise _invalid("empty", f"An empty filter would {act} everything; name at least one thing.")
    if not _CHANGED[act].issuperset(wanted.states):
        raise _invalid("state", _WHY[act])
    return wanted._replace(states=wanted.states or tuple(sorted(_CHANGED[act])))


def write_filter(wanted: Filter) -> str:
    """Write a filter as the record keeps it."""
    return orjson.dumps(wanted._asdict()).decode()


def read_filter(text: str) -> Filter:
    """Read what `write_filter` wrote."""
    found: dict[str, Any] = orjson.loads(text)
    times = {
        name: datetime.fromisoformat(found[name])
        for name in ("created_after", "created_before")
        if found[name] is not None
    }
    return Filter(**found | times | {"states": tuple(found["states"])})


def _invalid(code: str, detail: str) -> Invalid:
    return Invalid([Flaw("/filter", code, detail)])
