"""Prometheus figures, counted in plain numbers on the hot path and rendered only when someone scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from sluice.core.runtime.telemetry import Event

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds of the duration buckets, in seconds."""

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LABELS = [*map(str, BOUNDS), "+Inf"]

Gauge = Callable[[], float]
Gauges = Callable[[], Mapping[str, float]]


class RequestStats:
    """Requests by method, route template and status, and how long they took. Labels never hold ids or tenants."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._series: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * len(_LABELS))
        self._seconds: dict[tuple[str, str], float] = defaultdict(float)

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._series[method, route, status][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[method, route] += seconds

    def families(self) -> Iterator[Metric]:
        """What Prometheus sees."""
        yield _gauge("sluice_http_in_flight", "Requests being answered", self.in_flight)
        yield self._requests()
        yield self._durations()

    def _requests(self) -> Metric:
        names = ["method", "route", "status"]
        family = CounterMetricFamily("sluice_http_requests", "Requests answered", labels=names)
        for (method, route, status), buckets in self._series.items():
            family.add_metric([method, route, str(status)], sum(buckets))
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "sluice_http_request_seconds", "Time to the end of the answer", labels=["method", "route"]
        )
        for (method, route), seconds in self._seconds.items():
            counts = accumulate(self._buckets(method, route))
            family.add_metric([method, route], list(zip(_LABELS, counts, strict=True)), seconds)
        return family

    def _buckets(self, method: str, route: str) -> list[int]:
        rows = [buckets for key, buckets in self._series.items() if key[:2] == (method, route)]
        return [sum(column) for column in zip(*rows, strict=True)]


class Metrics(Collector):
    """All figures of a process: a telemetry sink, HTTP figures, and gauges that are read at scrape time."""

    def __init__(self) -> None:
        self.http = RequestStats()
        self._events: Counter[Event] = Counter()
        self._gauges: dict[str, tuple[str, Gauge]] = {}
        self._labelled: dict[str, tuple[str, str, Gauges]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def sink(self, event: Event, count: int, _: dict[str, Any]) -> None:
        """Attach this to Telemetry."""
        self._events[event] += count

    def gauge(self, name: str, meaning: str, read: Gauge) -> None:
        """Show `read()` as `sluice_<name>` at every scrape."""
        self._gauges[name] = (meaning, read)

    def gauges(self, name: str, meaning: str, label: str, read: Gauges) -> None:
        """Show each of `read()` as `sluice_<name>` with its key as this label."""
        self._labelled[name] = (meaning, label, read)

    def collect(self) -> Iterable[Metric]:
        """Every event from the start on, so that a rate over the first occurrence is right."""
        for event in Event:
            meaning = f"Times: {event.value.replace('_', ' ')}"
            yield CounterMetricFamily(f"sluice_{event.value}", meaning, value=self._events[event])
        for name, (meaning, read) in self._gauges.items():
            yield _gauge(f"sluice_{name}", meaning, read())
        for name, (meaning, label, read_all) in self._labelled.items():
            yield _labelled(f"sluice_{name}", meaning, label, read_all())
        yield from self.http.families()

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are known to be ours."""
        return []

    def render(self) -> bytes:
        """The answer to a scrape."""
        return generate_latest(self._registry)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _labelled(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family
