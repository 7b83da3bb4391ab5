"""Prometheus metrics, counted in plain numbers on the hot path and rendered only when someone scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sluice.adapters.batch_stats import BatchStats
from sluice.adapters.event_meanings import MEANINGS
from sluice.adapters.request_stats import RequestStats
from sluice.core.runtime.telemetry import Event

Gauge = Callable[[], float]
Gauges = Callable[[], Mapping[str, float]]
Family = GaugeMetricFamily | CounterMetricFamily


class Metrics(Collector):
    """All metrics of a process: counted events, requests, batches, and gauges that are read at scrape time."""

    def __init__(self) -> None:
        self.http = RequestStats()
        self.batches = BatchStats()
        self._events: Counter[Event] = Counter()
        self._gauges: dict[str, tuple[str, Gauge]] = {}
        self._labelled: dict[str, tuple[type[Family], str, str, Gauges]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def sink(self, event: Event, count: int, _: dict[str, Any]) -> None:
        """Count an event. Attach this to Telemetry."""
        self._events[event] += count

    def gauge(self, name: str, meaning: str, read: Gauge) -> None:
        """Show `read()` as `sluice_<name>` at every scrape."""
        self._gauges[name] = (meaning, read)

    def gauges(self, name: str, meaning: str, label: str, read: Gauges) -> None:
        """Show each of `read()` as `sluice_<name>` with its key as this label."""
        self._labelled[name] = (GaugeMetricFamily, meaning, label, read)

    def counters(self, name: str, meaning: str, label: str, read: Gauges) -> None:
        """Show each of `read()`, which only grows, as `sluice_<name>_total` with its key as this label."""
        self._labelled[name] = (CounterMetricFamily, meaning, label, read)

    def collect(self) -> Iterable[Metric]:
        """Collect every event from the start on, so that a rate over the first occurrence is right."""
        for event in Event:
            yield CounterMetricFamily(f"sluice_{event.value}", MEANINGS[event], value=self._events[event])
        for name, (meaning, read) in self._gauges.items():
            yield _gauge(f"sluice_{name}", meaning, read())
        for name, (make, meaning, label, read_all) in self._labelled.items():
            family = make(f"sluice_{name}", meaning, labels=[label])
            for key, figure in read_all().items():
                family.add_metric([key], figure)
            yield family
        yield from self.http.families()
        yield from self.batches.families()

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: names are known to be ours."""
        return []

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Render the answer to a scrape with this header `Accept`: its media type, and the text.

        That is the text format 0.0.4, which every scraper reads, unless it asks for a newer one or for OpenMetrics.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, media_type = choose_encoder("")
        return media_type, encode(self._registry)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
