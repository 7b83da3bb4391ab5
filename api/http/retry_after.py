"""Compute Retry-After: when to ask again for an unfinished job, from the statistics of its lane."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import time

from api.http.asgi import Header
from sluice.core.document import Document
from sluice.core.errors import Malformed, ServerAway
from sluice.core.job import JobState
from sluice.core.ports import StatisticsBoard
from sluice.core.queue_stats import LaneStatistics, Statistics, read_statistics
from sluice.core.runtime.tasks import repeat

FOLLOW_S = 1.0

MOST_S = 26.0
"""The longest estimate that is passed on: with what is added to spread pollers it stays within 30 s."""

SOON_S = 1.0
"""Jobs that are expected to take no longer get `retry_soon`."""

PATIENCE = 0.1
"""The part of what a job has taken so far that is waited at least: estimates fail, and then a client still asks seldom, and loses little."""

NOT_LONG_S = SOON_S / PATIENCE
"""Jobs that have taken no longer get `retry_soon` in a lane that is quick: that is most answers, and costs the least."""

LATER = 0.05
"""The part of the median by which the first look is later than that, at most."""

UNKNOWN = (0.0, 0.0)
"""Waiting and running time of a lane that is quick, or that nobody has counted."""

RETRY_AFTER: tuple[Header, ...] = tuple((b"retry-after", b"%d" % seconds) for seconds in range(31))
"""The header by seconds."""

SCHEDULED, RUNNING = str(JobState.SCHEDULED), str(JobState.RUNNING)

RetryAfter = Callable[[Document], Header]
"""Makes the header for an unfinished job."""


def retry_soon(document: Document) -> Header:
    """Suggest another look in 1 or 2 seconds. It differs from job to job, so that pollers that start together drift apart."""
    return RETRY_AFTER[1 + (ord(document.id[-1]) & 1)]


class RetryAfterAdvisor:
    """Reads the statistics of all lanes in the background, and computes `Retry-After` from them. Without statistics it
    answers as `retry_soon` does, except for jobs whose time is known, and for those that have taken long already.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lanes: dict[str, tuple[float, float]] = {}

    def __call__(self, document: Document) -> Header:
        """Make the header for an unfinished job. It differs from job to job, so that pollers drift apart."""
        lane, since = self._lanes.get(document.lane), document.since
        if not since or (lane is None and 0 <= self._clock() - since <= NOT_LONG_S):
            return retry_soon(document)
        left_s = min(self._seconds_left(document, *(lane or UNKNOWN)), MOST_S)
        if left_s <= SOON_S:
            return retry_soon(document)
        part = (ord(document.id[-1]) & 7) / 8
        return RETRY_AFTER[1 + int((left_s - 1) * (0.9 + part / 5) + part * min(2.0, max(1.0, left_s / 8)))]

    def learn(self, statistics: Statistics) -> None:
        """Use these from now on. Nothing is kept about quick lanes, which most answers are for."""
        known = {name: (lane.wait_s, _most_end_within(lane)) for name, lane in statistics.items()}
        self._lanes = {name: times for name, times in known.items() if sum(times) > SOON_S}

    async def follow(self, board: StatisticsBoard, every_s: float = FOLLOW_S) -> None:
        """Keep learning from the board, for ever."""
        await repeat(partial(self._read, board), every_s)

    async def _read(self, board: StatisticsBoard) -> None:
        """Learn what the board says; without Redis nothing is known."""
        statistics: Statistics = {}
        with suppress(ServerAway, Malformed):
            statistics = read_statistics(await board.read_statistics() or b"{}")
        self.learn(statistics)

    def _seconds_left(self, document: Document, wait_s: float, typical_s: float) -> float:
        """Estimate the seconds until the end. A clock behind the record's does not lengthen the wait."""
        passed_s = self._clock() - document.since
        if document.state == SCHEDULED:
            return wait_s + typical_s - passed_s
        expected_s = typical_s if document.state == RUNNING else wait_s + typical_s
        passed_s = max(passed_s, 0.0)
        return max(expected_s - passed_s, passed_s * PATIENCE)


def _most_end_within(lane: LaneStatistics) -> float:
    """Return the seconds after which to ask for a run: a little after the median, so that more than half have ended by then."""
    spread_s = lane.times.p90_s - lane.typical_s if lane.times else 0.0
    return lane.typical_s + min(spread_s / 2, lane.typical_s * LATER)
