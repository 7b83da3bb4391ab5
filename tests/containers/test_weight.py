"""Work in a consumer's container leaves those alone who look something up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from loadtests.bench.figures import percentile
from loadtests.bench.open_loop import latencies
from tests.containers.composed import Client, Composed, until

READS = 500.0
"""A second: what leaves any machine half idle."""

IDLE = slice(3, 5)
"""Fields of `/proc/stat`: idle, and waiting for a disk."""

LEAST_IDLE = 0.7

PAIRS, READ_S = 9, 2.0
MOST = 1.3
"""Times as long beside work as at rest. The promise is 1.1; pairs this short tell it no better."""


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
        # Progress comes from a process that has started.
        until(lambda: [client.job(job)["progress"] for job in jobs], all)
        yield
    finally:
        for job in jobs:
            client.http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
        for job in jobs:
            client.finished(job)


def idle_share(seconds: float = 1.0) -> float:
    """How much of this machine nobody uses."""
    before = processor_times()
    time.sleep(seconds)
    passed = [after - earlier for after, earlier in zip(processor_times(), before, strict=True)]
    return sum(passed[IDLE]) / sum(passed)


def asks_from_behind() -> bool:
    """Whether this test itself gets a processor only after others, so that it would measure its own waiting."""
    group = Path("/proc/self/autogroup")
    lowered = group.exists() and not group.read_text().rstrip().endswith("nice 0")
    return lowered or os.nice(0) > 0 or os.sched_getscheduler(0) != os.SCHED_OTHER


def processor_times() -> list[int]:
    """Ticks of all processors since the start, by what they were used for."""
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]


def test_look_ups_are_as_quick_while_every_slot_is_busy(composed: Composed, client: Client) -> None:
    job_id = client.submit("demo.sum", {"values": [1, 2]})
    client.finished(job_id)
    if asks_from_behind():
        pytest.skip(
            "started with a low priority: it would measure how long it waits itself, which is seconds"
        )
    if idle_share() < LEAST_IDLE:
        pytest.skip(
            "others use this machine: all containers together have a share, of which work takes the most"
        )
    pairs = [pair(composed, client, job_id) for _ in range(1 + PAIRS)]
    # The first starts programs from files that nobody has read yet.
    at_rest, beside = zip(*pairs[1:], strict=True)
    assert median(beside) <= MOST * median(at_rest), pairs


def pair(composed: Composed, client: Client, job_id: str) -> tuple[float, float]:
    """Seconds that look-ups take at rest and beside work, right after each other."""
    at_rest = p95_s(composed, client, job_id)
    with slots_busy(client):
        return at_rest, p95_s(composed, client, job_id)


def test_a_consumer_says_that_control_groups_decide(composed: Composed) -> None:
    look = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8002/check').read().decode())"
    said = composed.inside("consumer", "python", "-c", look)
    assert "control groups decide: this one has cpu." in said
    assert "evenly" not in said
