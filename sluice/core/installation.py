"""The installation as operators look at it: its consumers, and what the record takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sluice.core.queue_stats import Works


class SeenConsumer(NamedTuple):
    """A consumer, as it has described itself under the lease `id`.

    `lives` while that lease holds, `silent_s` is how long ago it was renewed. `works` is what it reports of each lane; nothing if it has
    yet to, or is of a release that reports otherwise.
    """

    id: str
    host: str
    pid: int
    release: str
    lanes: Sequence[str]
    works: Works
    started_at: datetime
    seen_at: datetime
    silent_s: float
    lives: bool


class TableSize(NamedTuple):
    """A table with its indexes: rows as PostgreSQL estimates them, and bytes."""

    name: str
    rows: int
    size: int


class RecordFacts(NamedTuple):
    """The record as its catalogue describes it.

    `release` is PostgreSQL's, `revision` that of the schema, which this release has as `newest_revision`. `oldest_transaction_s` is for how
    long a transaction has been open; None if there is none. Tables come largest first.
    """

    release: str
    revision: str
    newest_revision: str
    oldest_transaction_s: float | None
    tables: Sequence[TableSize]
