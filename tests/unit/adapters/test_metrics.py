"""Figures for Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from sluice.adapters.metrics import Metrics
from sluice.core.runtime.telemetry import Event


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
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
