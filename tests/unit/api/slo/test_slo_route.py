"""The promise as clients see it, of requests that were answered."""

from __future__ import annotations

import pytest

from sluice.core.slo import FEWEST
from tests.unit.api.in_memory_api import InMemoryApi


async def test_it_says_nothing_until_something_has_happened(api: InMemoryApi) -> None:
    shown = (await api.client.get("/v1/slo")).json()
    assert shown["cached_reads"] == {"p95_ms": None, "at_rest_p95_ms": None, "ratio": None, "limit": 1.1}
    assert shown["availability"] == {"ratio": None, "objective": 0.999, "budget_left": None, "window_s": 0}
    assert shown["shedding"] is False


async def test_look_ups_of_finished_jobs_are_the_cached_reads(api: InMemoryApi) -> None:
    job = (await api.submit()).json()["id"]
    for _ in range(FEWEST):
        await api.client.get(f"/v1/jobs/{job}")
    await api.state.slo.look()
    assert (await api.client.get("/v1/slo")).json()["cached_reads"]["p95_ms"] is None
    api.record.finish(job)
    etag = (await api.client.get(f"/v1/jobs/{job}")).headers["etag"]
    for _ in range(FEWEST):
        assert (await api.client.get(f"/v1/jobs/{job}", headers={"if-none-match": etag})).status_code == 304
    await api.state.slo.look()
    shown = (await api.client.get("/v1/slo")).json()
    if api.state.settings.express:
        reads = shown["cached_reads"]
        assert (reads["ratio"], reads["p95_ms"]) == (1.0, reads["at_rest_p95_ms"])
        assert reads["p95_ms"] > 0
    assert shown["availability"]["ratio"] == 1.0


async def test_counted_apart_they_are_shown_as_of_their_route(api: InMemoryApi) -> None:
    job = (await api.submit()).json()["id"]
    await api.client.get(f"/v1/jobs/{job}")
    api.record.finish(job)
    await api.client.get(f"/v1/jobs/{job}")
    families = {family.name: family for family in api.metrics.http.families()}
    (answered,) = (
        sample.value
        for sample in families["sluice_http_requests"].samples
        if sample.labels == {"method": "GET", "route": "/v1/jobs/{job_id}", "status": "200"}
    )
    (counted,) = (
        sample.value
        for sample in families["sluice_http_request_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["route"] == "/v1/jobs/{job_id}"
    )
    assert (answered, counted) == (2, 2)


@pytest.mark.parametrize(("status", "method", "route", "sheds"), [
    (503, "POST", "/v1/jobs", True), (503, "POST", "/v1/batches", True), (503, "GET", "/v1/jobs", False), (429, "POST", "/v1/jobs", False),
])  # fmt: skip
async def test_submits_that_are_refused_for_load_are_shed(
    api: InMemoryApi, status: int, method: str, route: str, sheds: bool
) -> None:
    api.metrics.http.record(method, route, status, 0.001)
    await api.state.slo.look()
    assert (await api.client.get("/v1/slo")).json()["shedding"] == sheds
