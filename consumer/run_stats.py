"""Run statistics: how many runs end in this consumer, and how long they take."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from sluice.core.lanes import Lane
from sluice.core.queue_stats import LaneWork, Works, measured

NEWEST = 256
"""Runs of which the times are kept, of each lane and of each kind."""

RATE_TICKS = 10
"""Reports over which the rate of runs is taken."""


class RunStats:
    """Counts runs by lane and kind. `add` is on the path of every job, so it only stores numbers."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = defaultdict(_newest)
        self._kinds: dict[str, dict[str, deque[float]]] = defaultdict(lambda: defaultdict(_newest))
        self._ended: Counter[str] = Counter()
        self._seen: deque[tuple[float, Counter[str]]] = deque([(clock(), Counter())], maxlen=RATE_TICKS)

    def add(self, lane: str, kind: str, seconds: float) -> None:
        """Count a run that has ended, with the seconds it spent in its slot."""
        self._ended[lane] += 1
        self._times[lane].append(seconds)
        self._kinds[lane][kind].append(seconds)

    def report(self, lanes: Iterable[Lane]) -> Works:
        """Report what is known now of these lanes. Rates are taken since the report some ticks ago."""
        now, (since, before) = self._clock(), self._seen[0]
        self._seen.append((now, self._ended.copy()))
        span = max(now - since, 0.001)
        return {
            lane.name: LaneWork(
                slots=lane.slots,
                per_second=(self._ended[lane.name] - before[lane.name]) / span,
                times=measured(runs) if (runs := self._times[lane.name]) else None,
                kinds={kind: measured(runs) for kind, runs in self._kinds[lane.name].items()},
            )
            for lane in lanes
        }


def with_load(works: Works, running: Mapping[str, int], memory: int) -> Works:
    """Add to a report how many jobs of each lane are in hand, and the bytes that this consumer holds."""
    return {
        lane: work.model_copy(update={"running": running.get(lane, 0), "memory": memory})
        for lane, work in works.items()
    }


def _newest() -> deque[float]:
    return deque(maxlen=NEWEST)
