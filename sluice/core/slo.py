"""Measure what is promised: cached reads as quick under load as at rest, and requests answered without a fault of ours.

The counts of requests are read once a second, so a request costs nothing more for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from sluice.core.runtime.tasks import repeat

CACHED = " cached"
"""After the name of a route: this was a look-up of a finished job. Such requests are counted apart, and shown as of the route."""
LOOK_S = 1.0
NOW_S = 60
"""Seconds of which the present quantile is taken."""
REST_S = 600
"""Seconds at rest, the newest, with which it is compared."""
WINDOW_S = 3_600
"""Seconds of which availability is taken."""
SHED_S = 10
"""Seconds without a submit refused with 503 after which nothing is shed any more."""
AT_REST = 50
"""Requests in a second up to which the process is at rest."""
FEWEST = 20
"""Cached reads below which nothing is said of their quantile."""
LIMIT, OBJECTIVE, QUANTILE = 1.10, 0.999, 0.95


class RequestCounts(NamedTuple):
    """What a process has answered since its start: cached reads by how long they took, all requests, and those of them that ended with 5xx or, of submits, with 503."""

    cached: Sequence[int]
    answered: int
    failed: int
    shed: int


class CountedRequests(Protocol):
    """Where requests are counted."""

    @property
    def bounds(self) -> Sequence[float]:
        """Upper bounds of the buckets of `cached`, in seconds; the last bucket has none."""

    def counts(self) -> RequestCounts:
        """Return the counts up to now."""


class Measured(NamedTuple):
    """The promise as it is kept by this process; None where too little has happened to say."""

    p95_s: float | None
    at_rest_p95_s: float | None
    availability: float | None
    window_s: int
    shedding: bool

    @property
    def ratio(self) -> float | None:
        """The present p95 over that at rest."""
        return self.p95_s / self.at_rest_p95_s if self.p95_s and self.at_rest_p95_s else None

    @property
    def budget_left(self) -> float | None:
        """The part of the failures that the objective allows and that have not happened; below 0 it is missed."""
        if self.availability is None:
            return None
        return 1 - (1 - self.availability) / (1 - OBJECTIVE)


class Slo:
    """Remembers what was answered in each of the last seconds."""

    def __init__(self, requests: CountedRequests) -> None:
        self._requests = requests
        self._last = requests.counts()
        self._now: deque[Sequence[int]] = deque(maxlen=NOW_S)
        self._rest: deque[Sequence[int]] = deque(maxlen=REST_S)
        self._window: deque[tuple[int, int, int]] = deque(maxlen=WINDOW_S)

    async def follow(self) -> None:
        """Look again and again, for ever."""
        await repeat(self.look, LOOK_S)

    async def look(self) -> None:
        """Note what was answered since the last look."""
        last, self._last = self._last, self._requests.counts()
        cached = [now - before for now, before in zip(self._last.cached, last.cached, strict=True)]
        answered, failed, shed = (now - before for now, before in zip(self._last[1:], last[1:], strict=True))
        self._now.append(cached)
        if any(cached) and answered <= AT_REST:
            self._rest.append(cached)
        self._window.append((answered, failed, shed))

    def measured(self) -> Measured:
        """Say how the promise is kept."""
        answered, failed, _ = map(sum, zip((0, 0, 0), *self._window, strict=True))
        shed = sum(row[2] for row in list(self._window)[-SHED_S:])
        available = 1 - failed / answered if answered else None
        return Measured(self._p95(self._now), self._p95(self._rest), available, len(self._window), shed > 0)

    def _p95(self, seconds: Sequence[Sequence[int]]) -> float | None:
        counts = [sum(column) for column in zip(*seconds, strict=True)]
        return quantile(counts, self._requests.bounds, QUANTILE) if sum(counts) >= FEWEST else None


def quantile(counts: Sequence[int], bounds: Sequence[float], at: float) -> float:
    """Estimate a quantile from a histogram, evenly within its bucket, as Prometheus does; the last bound if it is beyond."""
    wanted = at * sum(counts)
    for number, (below, count) in enumerate(zip(accumulate(counts, initial=0), counts, strict=False)):
        if count and below + count >= wanted:
            if number == len(bounds):
                break
            lower = bounds[number - 1] if number else 0.0
            return lower + (bounds[number] - lower) * (wanted - below) / count
    return bounds[-1]
