"""Figures for Prometheus."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from sluice.adapters.metrics import Metrics
from sluice.core.lane_gauges import show_clock
from sluice.core.runtime.record_clock import RecordClock
from sluice.core.runtime.telemetry import Event


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render()[1].decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_events_are_counted_and_shown_before_they_happen() -> None:
    metrics = Metrics()
    metrics.sink(Event.ACCEPTED, 3, {})
    metrics.sink(Event.ACCEPTED, 2, {"lane": "heavy"})
    found = samples(metrics)
    assert found["sluice_jobs_accepted_total", ()] == 5
    assert found["sluice_stale_outcomes_total", ()] == 0
    for event in Event:
        assert (f"sluice_{event}_total", ()) in found


def test_requests_are_counted_by_status_and_timed_by_route() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.0004), (200, 0.03), (404, 99.0)):
        metrics.http.record("GET", "/v1/jobs/{job_id}", status, seconds)
    metrics.http.record("POST", "/v1/jobs", 202, 0.001)
    found = samples(metrics)
    labels = (("method", "GET"), ("route", "/v1/jobs/{job_id}"))
    assert found["sluice_http_requests_total", (*labels, ("status", "200"))] == 2
    assert found["sluice_http_requests_total", (*labels, ("status", "404"))] == 1
    assert found["sluice_http_request_seconds_count", labels] == 3
    assert found["sluice_http_request_seconds_sum", labels] == 0.0004 + 0.03 + 99.0
    bucket = "sluice_http_request_seconds_bucket"
    assert found[bucket, (("le", "0.0005"), *labels)] == 1
    assert found[bucket, (("le", "0.05"), *labels)] == 2
    assert found[bucket, (("le", "60.0"), *labels)] == 2
    assert found[bucket, (("le", "+Inf"), *labels)] == 3
    assert found[bucket, (("le", "0.001"), ("method", "POST"), ("route", "/v1/jobs"))] == 1


def test_gauges_are_read_when_asked_for() -> None:
    metrics = Metrics()
    waiting = [1, 2]
    metrics.gauge("waiting", "Those who wait", lambda: len(waiting))
    waiting.append(3)
    assert samples(metrics)["sluice_waiting", ()] == 3


def test_gauges_with_a_label_show_whatever_there_is() -> None:
    metrics = Metrics()
    queued = {"default": 3, "heavy": 0}
    metrics.gauges("queued", "Those who queue", "lane", lambda: queued)
    assert samples(metrics)["sluice_queued", (("lane", "default"),)] == 3
    queued.clear()
    assert not [name for name, _ in samples(metrics) if name == "sluice_queued"]


def test_counters_with_a_label_are_shown_as_counters() -> None:
    metrics = Metrics()
    metrics.counters("falls", "How often", "who", lambda: {"a": 2})
    assert samples(metrics)["sluice_falls_total", (("who", "a"),)] == 2
    assert "# TYPE sluice_falls_total counter" in metrics.render()[1].decode()


def test_how_wrong_the_clock_is_can_be_seen() -> None:
    metrics, clock = Metrics(), RecordClock(lambda: 1_000.0)
    show_clock(metrics, clock)
    clock.learn(there=990.0, asked=1_000.0)
    assert samples(metrics)["sluice_record_clock_offset_seconds", ()] == -10


def test_the_process_itself_is_shown() -> None:
    assert ("process_resident_memory_bytes", ()) in samples(Metrics())


def test_batches_are_counted_by_flight_and_size() -> None:
    metrics = Metrics()
    for flight, items in (("claim", 1), ("claim", 64), ("claim", 700), ("settle", 3)):
        metrics.batches.record(flight, items)
    found = samples(metrics)
    claims = (("flight", "claim"),)
    assert found["sluice_batch_items_count", claims] == 3
    assert found["sluice_batch_items_sum", claims] == 765
    counts = {le: found["sluice_batch_items_bucket", (*claims, ("le", le))] for le in ("1.0", "32.0", "64.0")}
    assert counts == {"1.0": 1, "32.0": 1, "64.0": 2}
    assert found["sluice_batch_items_bucket", (("flight", "settle"), ("le", "4.0"))] == 1


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        ("text/plain;version=\xb2", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=next", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_a_scraper_gets_the_text_that_it_can_read(accept: str, media_type: str) -> None:
    metrics = Metrics()
    metrics.http.record("GET", "/v1/jobs", 200, 0.01)
    found, text = metrics.render(accept)
    assert found == media_type
    assert b"sluice_http_requests_total{" in text
    assert len(list(text_string_to_metric_families(text.decode()))) > len(Event)


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
    ],
)
def test_a_scraper_that_asks_for_open_metrics_gets_them(accept: str) -> None:
    metrics = Metrics()
    metrics.http.record("GET", "/v1/jobs", 200, 0.01)
    metrics.batches.record("claim", 3)
    media_type, text = metrics.render(accept)
    assert media_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = {family.name for family in openmetrics.text_string_to_metric_families(text.decode())}  # type: ignore[no-untyped-call]  # the library leaves it untyped
    assert {"sluice_http_requests", "sluice_http_request_seconds", "sluice_batch_items"} <= families


def test_the_newest_trace_of_a_bucket_is_its_exemplar_where_open_metrics_are_asked_for() -> None:
    metrics = Metrics()
    for seconds, trace in ((0.011, "a" * 32), (0.012, "b" * 32), (5.0, "c" * 32)):
        metrics.http.record("GET", "/v1/jobs", 200, seconds)
        metrics.http.exemplify("GET", "/v1/jobs", seconds, trace)
    _, text = metrics.render("application/openmetrics-text;version=1.0.0")
    families = openmetrics.text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]  # as above
    samples = next(each.samples for each in families if each.name == "sluice_http_request_seconds")
    found = {
        each.labels["le"]: (each.exemplar.labels, each.exemplar.value) for each in samples if each.exemplar
    }
    assert found == {"0.025": ({"trace_id": "b" * 32}, 0.012), "10.0": ({"trace_id": "c" * 32}, 5.0)}
    assert b"c" * 32 not in metrics.render("text/plain")[1]
