"""When to ask again: told with every unfinished job, from what is known of its lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import time

from api.http.response import RETRY_AFTER, Header, soon
from sluice.core.document import Document
from sluice.core.errors import Malformed, ServerAway
from sluice.core.job import JobState
from sluice.core.ports import StatisticsBoard
from sluice.core.queue_stats import Statistics, read_statistics

FOLLOW_S = 1.0

MOST_S = 26.0
"""The longest expectation that is told as it is: with what is added so that pollers part, 30 s are never exceeded."""

SOON_S = 1.0
"""What is expected to take no longer is asked for soon."""

NOTHING = (0.0, 0.0)
"""What is known of a lane that is quick, or that nobody has counted."""

SCHEDULED, RUNNING = str(JobState.SCHEDULED), str(JobState.RUNNING)


class RetryAfterAdvisor:
    """Reads the statistics of all lanes in the background, and makes `Retry-After` of them.

    Without statistics it says what `answers.soon` says, but for jobs whose time is known.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lanes: dict[str, tuple[float, float]] = {}

    def __call__(self, document: Document) -> Header:
        """The header for an unfinished job. It differs from job to job, so that pollers do not stay together."""
        lane = self._lanes.get(document.lane)
        if lane is None and document.state != SCHEDULED:
            return soon(document)
        left_s = min(self._left_s(document, *(lane or NOTHING)), MOST_S)
        if left_s <= SOON_S:
            return soon(document)
        part = (ord(document.id[-1]) & 7) / 8
        return RETRY_AFTER[1 + int((left_s - 1) * (0.9 + part / 5) + part * 2)]

    def learn(self, statistics: Statistics) -> None:
        """From now on these are what is known. Of lanes that are quick nothing is kept: most answers are for those."""
        known = {name: (lane.wait_s, lane.typical_s) for name, lane in statistics.items()}
        self._lanes = {name: times for name, times in known.items() if sum(times) > SOON_S}

    async def follow(self, board: StatisticsBoard, every_s: float = FOLLOW_S) -> None:
        """Learn again and again what was put up; without Redis nothing is known."""
        while True:
            statistics: Statistics = {}
            with suppress(ServerAway, Malformed):
                statistics = read_statistics(await board.read_statistics() or b"{}")
            self.learn(statistics)
            await asyncio.sleep(every_s)

    def _left_s(self, document: Document, wait_s: float, typical_s: float) -> float:
        """Seconds until the end, as far as can be told. A clock that is behind the record's makes nobody wait longer."""
        expected_s = typical_s if document.state == RUNNING else wait_s + typical_s
        passed_s = self._clock() - document.since
        return expected_s - (passed_s if document.state == SCHEDULED else max(passed_s, 0.0))
