"""Keep a tenant with much work from making others wait: what is over its share of a lane goes to the queue `overflow`,
and what is over its cap is refused.

How much waits for whom is what a keeper has counted, and what this process has taken since; nothing is counted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from time import monotonic

from sluice.core.count_lanes import CountLanes
from sluice.core.errors import BacklogFull
from sluice.core.job import NewJob
from sluice.core.lanes import OVERFLOW, Lane
from sluice.core.queue_stats import LaneStatistics

RECENT_S = 3.0
"""Seconds for which jobs taken here are added to what was counted, once or twice that: so old is a count when it is read."""
MOST_NOTED = 1_000
"""Tenants of which such jobs are noted; with more, one whose jobs were not noted is known once it is counted."""
SHARED_S = 3_600.0
"""Seconds for which a lane counts as shared by tenants, after two of them have used it."""


BULK = 0.9
"""The part of its cap from which a tenant's batches are refused, while single jobs are taken."""
LIFTED = 0.8
"""The part of its cap to which a tenant's backlog has to fall until more is taken."""
LATEST_S = 30
"""The most seconds after which a refused client is told to try again."""

CheckRoom = Callable[[str, str, bool], None]
"""Raises if no job of a tenant may come into a lane, alone or in bulk: BacklogFull, WholeBacklogFull or StorageFull."""


def any_room(_tenant: str, _lane: str, _bulk: bool) -> None:
    """Let every job come."""


class FairShare:
    """Decides in which queue a new job is to wait, from the statistics that the process follows anyway.

    `most` is how many jobs of one tenant may wait in a lane. Only those that were counted are, as what was taken since may have begun.
    `checks` raise if no more is taken of a tenant for another reason, alone or in bulk.
    """

    def __init__(
        self,
        counts: CountLanes,
        lanes: Mapping[str, Lane],
        most: int,
        clock: Callable[[], float] = monotonic,
        checks: Sequence[Callable[[str, bool], None]] = (),
    ) -> None:
        self._counts, self._clock, self._checks = counts, clock, checks
        self._lanes = {name: _LaneShare(lane.slots, most) for name, lane in lanes.items()}

    def check(self, tenant: str, lane_name: str, bulk: bool = False) -> None:
        """Raise BacklogFull, and what `checks` raise, if no job of this tenant may come into the lane, alone or in `bulk`."""
        for check in self._checks:
            check(tenant, bulk)
        lane = self._lanes.get(lane_name)
        if lane is None:  # jobs of a lane that the settings have no more can be retried all the same
            return
        lane.follow(self._counts.newest().get(lane_name), self._clock())
        full = lane.full_for_bulk if bulk else lane.full
        if tenant in full:
            raise BacklogFull(full[tenant])

    def place(self, job: NewJob, bulk: bool = False) -> NewJob:
        """Note a job that is about to be accepted, alone or in `bulk`, and return it as it is to be queued. Raises what `check` raises."""
        self.check(job.tenant, job.lane, bulk)
        lane = self._lanes[job.lane]
        return job._replace(priority=OVERFLOW) if lane.take(job.tenant, self._clock()) else job


class _LaneShare:
    """What waits in one lane, by tenant: `_waiting` is what was counted and what was noted together.

    `full` are the tenants of which no more is taken, each with the seconds after which it may be; `full_for_bulk` comes before that.
    """

    def __init__(self, slots: int, most: int) -> None:
        self._own_slots = self._slots = slots
        self._most = most
        self.full: dict[str, int] = {}
        self.full_for_bulk: dict[str, int] = {}
        self._counted: LaneStatistics | None = None
        self._older: Counter[str] = Counter()
        self._newer: Counter[str] = Counter()
        self._turned_at = 0.0
        self._waiting: Counter[str] = Counter()
        self._total = 0
        self._latest = ""
        self._shared_until = 0.0

    def follow(self, counted: LaneStatistics | None, now: float) -> None:
        """Use what was counted last, and forget what was noted so long ago that it is part of it."""
        turn = now >= self._turned_at + RECENT_S
        if turn:
            self._older = self._newer if now < self._turned_at + 2 * RECENT_S else Counter()
            self._newer, self._turned_at = Counter(), now
        if turn or counted is not self._counted:
            if counted is not self._counted:
                self.full = self._find_full(counted, self._most, self.full)
                self.full_for_bulk = self._find_full(counted, BULK * self._most, self.full_for_bulk)
            self._counted = counted
            self._slots = (counted.slots if counted else 0) or self._own_slots
            self._waiting = Counter(counted.tenants if counted else {}) + self._older + self._newer
            self._total = self._waiting.total()
            if len(self._waiting) > 1:
                self._shared_until = now + SHARED_S

    def take(self, tenant: str, now: float) -> bool:
        """Note a job of a tenant; true if it has more waiting than its share.

        That is what fills all slots once, or the mean if one more tenant came: so a newcomer finds no more than that before it.
        A tenant that has the lane to itself is never over its share, or its priorities would mean nothing.
        """
        if tenant != self._latest:
            if self._latest:
                self._shared_until = now + SHARED_S
            self._latest = tenant
        waits = self._waiting[tenant] + 1
        if tenant in self._newer or len(self._newer) < MOST_NOTED:
            self._newer[tenant] += 1
            self._waiting[tenant] = waits
            self._total += 1
        mean = self._total / (len(self._waiting) + 1)
        return now < self._shared_until and waits > max(self._slots, mean)

    def _find_full(
        self, counted: LaneStatistics | None, most: float, before: Mapping[str, int]
    ) -> dict[str, int]:
        if counted is None:
            return {}
        lifted = LIFTED * self._most
        return {
            tenant: max(1, min(ceil((waits - lifted) / (counted.per_second or 1)), LATEST_S))
            for tenant, waits in counted.tenants.items()
            if waits >= most or (tenant in before and waits > lifted)
        }
