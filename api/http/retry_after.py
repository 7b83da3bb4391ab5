"""Compute Retry-After: when to ask again for an unfinished job, from the statistics of its lane."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import ceil
from time import time
from typing import NamedTuple

from api.http.asgi import Header
from sluice.core.document import Document
from sluice.core.errors import Malformed, ServerAway
from sluice.core.estimates import estimate_ahead, estimate_wait
from sluice.core.job import JobState
from sluice.core.ports import StatisticsBoard
from sluice.core.queue_stats import LaneStatistics, Statistics, read_statistics
from sluice.core.runtime.tasks import repeat

FOLLOW_S = 1.0

MOST_S = 40.0
"""Longer estimates are waited for in two equal parts or more: if the lane becomes twice as quick meanwhile, nothing is lost."""

MOST_PART_S = 54.0
"""The longest such part: with what is added to spread pollers it stays within 60 s."""

SOON_S = 1.0
"""Jobs that are expected to take no longer get `retry_soon`."""

PATIENCE = 0.1
"""The part of what a job has taken so far that is waited at least: estimates fail, and then a client still asks seldom, and loses little."""

NOT_LONG_S = SOON_S / PATIENCE
"""Jobs that have taken no longer get `retry_soon` in a lane that is quick: that is most answers, and costs the least."""

LATER = 0.05
"""The part of its time so far by which a queued job is asked for later than is expected: one look too early costs one more."""

EARLIER = 0.7
"""The part of the standard deviation of a wait by which it is taken to be shorter: to ask once more costs less than to be late."""

QUICK_S = 0.01
"""Lanes are quick whose jobs take less, divided by their slots: it takes a hundred at once to make one wait for a second, and the
next count tells of them."""

RETRY_AFTER: tuple[Header, ...] = tuple((b"retry-after", b"%d" % seconds) for seconds in range(61))
"""The header by seconds."""

SCHEDULED, RUNNING = str(JobState.SCHEDULED), str(JobState.RUNNING)

RetryAfter = Callable[[Document], Header]
"""Makes the header for an unfinished job."""


def retry_soon(document: Document) -> Header:
    """Suggest another look in 1 or 2 seconds. It differs from job to job, so that pollers that start together drift apart."""
    return RETRY_AFTER[1 + (ord(document.id[-1]) & 1)]


class _Lane(NamedTuple):
    """What is used of the statistics of a lane: how long a new job waits, and a run takes."""

    statistics: LaneStatistics
    counted_at: float
    wait_s: float
    run_s: float


class RetryAfterAdvisor:
    """Reads the statistics of all lanes in the background, and computes `Retry-After` from them. Without statistics it
    answers as `retry_soon` does, except for jobs whose time is known, and for those that have taken long already.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._newest: dict[str, tuple[int, str]] = {}

    def __call__(self, document: Document) -> Header:
        """Make the header for an unfinished job. It differs from job to job, so that pollers drift apart."""
        lane, since = self._lanes.get(document.lane), document.since
        if not since or (lane is None and 0 <= self._clock() - since <= NOT_LONG_S):
            return retry_soon(document)
        passed_s = self._clock() - since
        left_s = self._seconds_left(document, lane, passed_s)
        if left_s > MOST_S:
            left_s /= max(2, ceil(left_s / MOST_PART_S))
        left_s = min(max(left_s, passed_s * PATIENCE), MOST_PART_S)
        if left_s <= SOON_S:
            return retry_soon(document)
        part = (ord(document.id[-1]) & 7) / 8
        return RETRY_AFTER[1 + int((left_s - 1) * (0.95 + part / 7) + part * min(1.5, max(1.0, left_s / 8)))]

    def learn(self, statistics: Statistics) -> None:
        """Use these from now on. Nothing is kept about quick lanes, which most answers are for."""
        known = {
            name: _Lane(lane, lane.counted_at or self._clock(), lane.wait_s, lane.typical_s)
            for name, lane in statistics.items()
        }
        self._lanes = {name: lane for name, lane in known.items() if not _is_quick(lane)}
        self._newest = {}

    async def follow(self, board: StatisticsBoard, every_s: float = FOLLOW_S) -> None:
        """Keep learning from the board, for ever."""
        await repeat(partial(self._read, board), every_s)

    async def _read(self, board: StatisticsBoard) -> None:
        """Learn what the board says; without Redis nothing is known."""
        statistics: Statistics = {}
        with suppress(ServerAway, Malformed):
            statistics = read_statistics(await board.read_statistics() or b"{}")
        self.learn(statistics)

    def _seconds_left(self, document: Document, lane: _Lane | None, passed_s: float) -> float:
        """Estimate the seconds until the end. A clock behind the record's does not lengthen the wait."""
        run_s = lane.run_s if lane else 0.0
        if document.state == SCHEDULED:
            return (lane.wait_s if lane else 0.0) + run_s - passed_s
        passed_s = max(passed_s, 0.0)
        if lane is None or document.state == RUNNING:
            return run_s - passed_s
        return self._estimate_wait(document, lane, passed_s) + run_s + passed_s * LATER

    def _estimate_wait(self, document: Document, lane: _Lane, passed_s: float) -> float:
        """Estimate the seconds until a queued job begins. In a lane that does not go on it waits as long as the oldest has."""
        counted = lane.statistics
        if counted.paused or not counted.slots or not counted.times:
            return lane.wait_s - passed_s
        ahead = estimate_ahead(counted, document.since) + self._count_newer(document, lane)
        wait = estimate_wait(counted, counted.times, ahead)
        return max(wait.mean_s - wait.spread_s * EARLIER - max(self._clock() - lane.counted_at, 0.0), 0.0)

    def _count_newer(self, document: Document, lane: _Lane) -> int:
        """Count the jobs of this process that came after the count, if this one is the newest of them."""
        if document.since <= lane.counted_at:
            return 0
        count, newest = self._newest.get(document.lane, (0, ""))
        if document.id <= newest:
            return 0
        self._newest[document.lane] = count + 1, document.id
        return count


def _is_quick(lane: _Lane) -> bool:
    counted = lane.statistics
    each_s = counted.times.mean_s / counted.slots if counted.times and counted.slots else 0.0
    return lane.wait_s + lane.run_s <= SOON_S and each_s <= QUICK_S
