"""Count how many items travel together to a server: what batches are worth."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric

BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Upper bounds of the buckets, in items."""

_LABELS = [*map(str, BOUNDS), "+Inf"]


class BatchStats:
    """Calls to servers by what they are for, and the items of each. Labels are names in our code."""

    def __init__(self) -> None:
        self._calls: dict[str, list[int]] = defaultdict(lambda: [0] * len(_LABELS))
        self._items: Counter[str] = Counter()

    def record(self, flight: str, items: int) -> None:
        """Count one call for so many items."""
        self._calls[flight][bisect_left(BOUNDS, items)] += 1
        self._items[flight] += items

    def families(self) -> Iterator[Metric]:
        """Show them to Prometheus."""
        family = HistogramMetricFamily(
            "sluice_batch_items", "Items of one call to a server", labels=["flight"]
        )
        for flight, calls in self._calls.items():
            buckets = list(zip(_LABELS, accumulate(calls), strict=True))
            family.add_metric([flight], buckets, self._items[flight])
        yield family
