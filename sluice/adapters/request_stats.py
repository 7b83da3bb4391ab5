"""Count requests by method, route and status, with their durations."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate
from operator import add
from time import time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar

from sluice.core.slo import CACHED, RequestCounts

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds of the duration buckets, in seconds."""

_LABELS = [*map(str, BOUNDS), "+Inf"]


_SUBMITS = {"/v1/jobs", "/v1/kinds/{kind}/jobs", "/v1/batches"}


class RequestStats:
    """Requests by method, route template and status, and how long they took. Labels never hold ids or tenants."""

    bounds = BOUNDS

    def __init__(self) -> None:
        self.in_flight = self.unread = 0
        self.refused_connections: Counter[str] = Counter({"all": 0, "address": 0})
        self._series: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * len(_LABELS))
        self._seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._exemplars: dict[tuple[str, str], dict[int, Exemplar]] = defaultdict(dict)

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._series[method, route, status][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[method, route] += seconds

    def exemplify(self, method: str, route: str, seconds: float, trace_id: str) -> None:
        """Show the trace of a counted request beside its bucket, where OpenMetrics is asked for, until another takes its place."""
        exemplar = Exemplar({"trace_id": trace_id}, seconds, time())
        self._exemplars[method, route][bisect_left(BOUNDS, seconds)] = exemplar

    def counts(self) -> RequestCounts:
        """Return what was answered up to now."""
        cached, answered, failed, shed = [0] * len(_LABELS), 0, 0, 0
        for (method, route, status), buckets in self._series.items():
            many = sum(buckets)
            answered += many
            failed += many * (status >= 500)
            shed += many * (status == 503 and method == "POST" and route in _SUBMITS)
            if route.endswith(CACHED):
                cached = list(map(add, cached, buckets))
        return RequestCounts(cached, answered, failed, shed)

    def families(self) -> Iterator[Metric]:
        """Show them to Prometheus."""
        yield GaugeMetricFamily("sluice_http_in_flight", "Requests being answered", value=self.in_flight)
        yield CounterMetricFamily(
            "sluice_http_unread_answers",
            "Clients that were cut off, as they read too slowly",
            value=self.unread,
        )
        refused = CounterMetricFamily(
            "sluice_http_refused_connections", "Connections refused, as too many were open", labels=["of"]
        )
        for of, count in self.refused_connections.items():
            refused.add_metric([of], count)
        yield refused
        yield self._requests()
        yield self._durations()

    def _requests(self) -> Metric:
        names = ["method", "route", "status"]
        family = CounterMetricFamily("sluice_http_requests", "Requests answered", labels=names)
        many: Counter[tuple[str, str, int]] = Counter()
        for (method, route, status), buckets in self._series.items():
            many[method, route.removesuffix(CACHED), status] += sum(buckets)
        for (method, route, status), count in many.items():
            family.add_metric([method, route, str(status)], count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "sluice_http_request_seconds",
            "Time to the end of the answer, without what the client asked to wait",
            labels=["method", "route"],
        )
        total: dict[tuple[str, str], float] = defaultdict(float)
        for (method, route), seconds in self._seconds.items():
            total[method, route.removesuffix(CACHED)] += seconds
        for (method, route), seconds in total.items():
            counts, exemplars = (
                accumulate(self._buckets(method, route)),
                self._exemplars.get((method, route), {}),
            )
            rows = enumerate(zip(_LABELS, counts, strict=True))
            buckets = [(*row, exemplars[at]) if at in exemplars else row for at, row in rows]
            family.add_metric([method, route], buckets, seconds)
        return family

    def _buckets(self, method: str, route: str) -> list[int]:
        routes = ((method, route), (method, route + CACHED))
        rows = [buckets for key, buckets in self._series.items() if key[:2] in routes]
        return [sum(column) for column in zip(*rows, strict=True)]
