"""Count the waiting jobs of each lane and how quickly they go, so that the apis need not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from sluice.core.errors import ServerAway, TryAgain
from sluice.core.ports import StatisticsBoard, StatisticsStore
from sluice.core.queue_stats import LaneStatistics, Statistics, Works, put_together, write_statistics

MOST = 200_000
"""Queued jobs that are counted of each lane: each has to be visited, and what is beyond changes no advice."""

SHARE = 20
LONGEST_REST_S = 30.0
"""Counting a long backlog takes long: the rest until the next time is `SHARE` times longer, but no longer than this."""

KNOWN_S = 60.0
"""Seconds for which what was counted is shown."""

SILENT_S = 15.0
"""Seconds after which the slots of a consumer that does not report are left out."""


class CountLanes:
    """Reports this consumer's work, and counts for all if no other keeper has done so within `every_s`."""

    def __init__(
        self,
        store: StatisticsStore,
        board: StatisticsBoard,
        lanes: Sequence[str],
        report: Callable[[], Works],
        every_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._board, self._lanes, self._report = store, board, lanes, report
        self._every_s, self._clock = every_s, clock
        self._rest_s = self._not_before = 0.0
        self._found: tuple[float, Statistics] = (0.0, {})

    async def once(self) -> int:
        """Report; count, keep and post what was found, or read what another keeper has found. Returns lanes counted."""
        await self._store.report_work(self._report())
        counted = await self._count()
        self._found = self._clock(), counted or await self._store.latest_statistics(KNOWN_S)
        if counted:
            await self._store.keep_statistics(counted)
            with suppress(ServerAway):
                await self._board.post_statistics(write_statistics(counted))
        return len(counted)

    def read(self, figure: Callable[[LaneStatistics], float]) -> Mapping[str, float]:
        """Read one figure of every lane; none if what was found is out of date."""
        at, statistics = self._found
        return {lane: figure(each) for lane, each in statistics.items() if self._clock() < at + KNOWN_S}

    def oldest_undispatched_s(self) -> float:
        """Read how long the oldest of the jobs has waited whose messages RabbitMQ has not confirmed."""
        return max(self.read(lambda lane: lane.oldest_undispatched_s).values(), default=0.0)

    async def _count(self) -> Statistics:
        """Count every `every_s`, or less often if counting takes long, even if it takes too long to succeed."""
        began, least_s = self._clock(), max(self._every_s * 0.8, self._rest_s)
        if began < self._not_before:
            return {}
        try:
            counts = await self._store.count(self._lanes, MOST, least_s)
        except TryAgain:
            self._not_before = self._clock() + LONGEST_REST_S
            raise
        if counts is None:
            return {}
        self._rest_s = min(SHARE * (self._clock() - began), LONGEST_REST_S)
        return put_together(counts, await self._store.list_work(SILENT_S))
