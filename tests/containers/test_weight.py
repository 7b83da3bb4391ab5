"""Work in a consumer's container leaves those alone who look something up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from loadtests.bench.figures import percentile
from loadtests.bench.open_loop import latencies
from tests.containers.composed import Client, Composed, until

READS = 500.0
"""A second: what leaves any machine half idle."""

PAIRS, READ_S = 5, 2.0
MOST = 1.3
"""Times as long beside work as at rest. The promise is 1.1; a container that shares evenly with a consumer's is beyond 1.5."""


def p95_s(composed: Composed, client: Client, job_id: str) -> float:
    """The 95th percentile of look-ups at a fixed rate."""
    key = client.http.headers["Authorization"]
    request = f"GET /v1/jobs/{job_id} HTTP/1.1\r\nhost: trial\r\nauthorization: {key}\r\n\r\n"
    return percentile(latencies(composed.url, request.encode(), READS, READ_S), 95)


@contextmanager
def slots_busy(client: Client) -> Iterator[None]:
    """A job that burns a processor on every process slot."""
    jobs = [client.submit("demo.spin", {"seconds": 600}) for _ in range(os.cpu_count() or 1)]
    try:
        until(
            lambda: [client.job(job)["progress"] for job in jobs], all
        )  # said by a process that has started
        yield
    finally:
        for job in jobs:
            client.http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
        for job in jobs:
            client.finished(job)


def test_look_ups_are_as_quick_while_every_slot_is_busy(composed: Composed, client: Client) -> None:
    job_id = client.submit("demo.sum", {"values": [1, 2]})
    client.finished(job_id)
    ratios = []
    for _ in range(PAIRS):
        at_rest = p95_s(composed, client, job_id)
        with slots_busy(client):
            ratios.append(p95_s(composed, client, job_id) / at_rest)
    assert median(ratios) <= MOST, ratios


def test_a_consumer_says_that_control_groups_decide(composed: Composed) -> None:
    look = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8002/check').read().decode())"
    said = composed.inside("consumer", "python", "-c", look)
    assert "control groups decide: this one has cpu." in said
    assert "evenly" not in said
