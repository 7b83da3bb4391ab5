"""Count the waiting jobs of each lane and how quickly they go: one process for all, a keeper where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from sluice.core.arrivals import add_arrivals
from sluice.core.backlog_cap import NO_LIMITS, BacklogLimits
from sluice.core.errors import Malformed, ServerAway
from sluice.core.ports import StatisticsBoard, StatisticsStore
from sluice.core.queue_stats import (
    LaneStatistics,
    Statistics,
    put_together,
    read_statistics,
    write_statistics,
)

MOST = 200_000
"""Jobs that are counted of each queue, as many of each kind: each has to be visited, and what is beyond changes no advice."""

WEIGHED = 100
"""Jobs of each kind and priority by which the bytes of all inputs are estimated, if somebody has to know them."""

SHARE = 20
LONGEST_REST_S = 30.0
"""Counting a long backlog takes long: the rest until the next time is `SHARE` times longer, but no longer than this."""

KNOWN_S = 60.0
"""Seconds for which what was counted is shown."""

SILENT_S = 15.0
"""Seconds after which the slots of a consumer that does not report are left out."""


POSTED_S = 15.0
"""Seconds beyond its rest for which others use what a keeper has counted: then none counts any more, and an api does."""


class CountLanes:
    """Counts for all, in turns with other processes. What it posts is to be used until `posted_s` seconds after its rest.

    Of what has `limits`, as much is counted as tells whether they are reached.
    """

    def __init__(
        self,
        store: StatisticsStore,
        board: StatisticsBoard,
        lanes: Sequence[str],
        clock: Callable[[], float] = monotonic,
        posted_s: float = POSTED_S,
        limits: BacklogLimits = NO_LIMITS,
    ) -> None:
        self._at_least, self._weighed = limits.counted, WEIGHED if limits.size else 0
        self._store, self._board, self._lanes, self._posted_s = store, board, lanes, posted_s
        self._clock = clock
        self._not_before = 0.0
        self._found: tuple[float, Statistics] = (0.0, {})

    async def once(self) -> int:
        """Count, and post what was found; less often if counting takes long, even if it takes too long to succeed."""
        began = self._clock()
        if began < self._not_before:
            return 0
        self._not_before = began + LONGEST_REST_S
        counts = await self._store.count(self._lanes, MOST, self._at_least, self._weighed)
        rest_s = min(SHARE * (self._clock() - began), LONGEST_REST_S)
        self._not_before = began + rest_s
        found = add_arrivals(
            self.newest(), put_together(counts, await self._store.list_work(SILENT_S), rest_s)
        )
        self._found = self._clock(), found
        with suppress(ServerAway):
            await self._board.post_statistics(write_statistics(found), rest_s + self._posted_s)
        return len(found)

    async def read_board(self) -> bool:
        """Read what another process has counted; false if there is nothing, and what was known is kept.

        Its rest is that of all: in a large fleet there would always be one that has rested.
        """
        with suppress(ServerAway, Malformed):
            if posted := await self._board.read_statistics():
                now, found = self._clock(), read_statistics(posted)
                if found != self._found[1]:
                    rest_s = max((lane.rest_s for lane in found.values()), default=0.0)
                    self._not_before = max(self._not_before, now + rest_s)
                self._found = now, found
                return True
        return False

    def newest(self) -> Statistics:
        """Return what was found last, of every lane; nothing if that is out of date."""
        at, statistics = self._found
        return statistics if self._clock() < at + KNOWN_S else {}

    def read(self, figure: Callable[[LaneStatistics], float]) -> Mapping[str, float]:
        """Read one figure of every lane; none if what was found is out of date."""
        return {lane: figure(each) for lane, each in self.newest().items()}

    def oldest_undispatched_s(self) -> float:
        """Read how long the oldest of the jobs has waited whose messages RabbitMQ has not confirmed."""
        return max(self.read(lambda lane: lane.oldest_undispatched_s).values(), default=0.0)
