"""Refuse new jobs while too much waits of all tenants together, by number or by the bytes of its inputs.

What waits is what was counted last for the statistics of lanes; nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import NamedTuple

from sluice.core.errors import WholeBacklogFull
from sluice.core.queue_stats import LaneStatistics, Statistics

BULK = 0.9
"""The part of the cap from which batches are refused, while single jobs are taken."""
LIFTED = 0.8
"""The part of the cap to which the backlog has to fall until more is taken."""
LATEST_S = 30
"""The most seconds after which a refused client is told to try again."""
MOST_JOBS = 1_000_000
"""The largest number of jobs that a cap may have: so many have to be counted to know whether they wait."""
MIB = 1024 * 1024


class BacklogLimits(NamedTuple):
    """How many jobs may wait: of a tenant in a lane, and of all tenants in all lanes; and bytes of the inputs of the latter. 0: any number."""

    tenant: int = 0
    jobs: int = 0
    size: int = 0

    @property
    def counted(self) -> int:
        """Jobs of a kind that have to be counted, if so many wait, to know whether a limit is reached."""
        return MOST_JOBS if self.size else max(self.tenant, self.jobs)


NO_LIMITS = BacklogLimits()


class BacklogCap:
    """Decides whether a new job may join what waits. `newest` returns the statistics as they were read last."""

    def __init__(self, newest: Callable[[], Statistics], limits: BacklogLimits) -> None:
        self._newest, self._limits = newest, limits
        self._judged: Mapping[str, LaneStatistics] = {}
        self._full_s = self._full_for_bulk_s = 0

    def check(self, tenant: str, bulk: bool = False) -> None:
        """Raise WholeBacklogFull if no more is taken, alone or in `bulk`, of whichever tenant."""
        if not (self._limits.jobs or self._limits.size):
            return
        self._judge()
        if wait_s := self._full_for_bulk_s if bulk else self._full_s:
            raise WholeBacklogFull(wait_s)

    def describe(self) -> str:
        """Describe what waits, of how much that may, and whether more is taken, for /check."""
        self._judge()
        jobs, size = _total(self._judged)
        limits = self._limits
        parts = [f"{jobs} of {limits.jobs} jobs"] if limits.jobs else []
        parts += [f"{size // MIB} of {limits.size // MIB} MiB"] if limits.size else []
        refused = (
            "; new jobs are refused"
            if self._full_s
            else "; batches are refused"
            if self._full_for_bulk_s
            else ""
        )
        return (", ".join(parts) or "no limit") + refused

    def _judge(self) -> None:
        """Use what was counted last, each time once."""
        newest = self._newest()
        if newest is self._judged:
            return
        self._judged = newest
        jobs, size = _total(newest)
        limits = self._limits
        part = max(jobs / limits.jobs if limits.jobs else 0.0, size / limits.size if limits.size else 0.0)
        per_second = sum(lane.per_second for lane in newest.values()) or 1.0
        lifted_s = jobs * (1 - LIFTED / part) / per_second if part > LIFTED else 0.0
        retry_s = max(1, min(ceil(lifted_s), LATEST_S))
        self._full_s = retry_s if _is_full(part, 1.0, self._full_s) else 0
        self._full_for_bulk_s = retry_s if _is_full(part, BULK, self._full_for_bulk_s) else 0


def _is_full(part: float, most: float, full_before: int) -> bool:
    return part >= most or (full_before > 0 and part > LIFTED)


def _total(statistics: Statistics) -> tuple[int, int]:
    lanes = statistics.values()
    return sum(lane.queued for lane in lanes), sum(lane.queued_bytes for lane in lanes)
