"""Cached reads beside heavy work: what the work that a consumer runs costs those who only look something up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from loadtests.bench import machine
from loadtests.bench.figures import Figure, percentile
from loadtests.bench.generator import BenchError
from loadtests.bench.open_loop import latencies
from loadtests.bench.product import Product

READS = 1_000.0
"""A second."""

SETTLE_S = {"bench.burn-in-process": 0.7, "bench.burn-in-thread": 2.0}
"""How long work is claimed before it counts. A process has to start; a host that jobs share is judged by a whole second."""

PATIENCE_S = 20.0


class ReadsBesideWork:
    """The p95 of cached reads at a fixed rate, right before jobs of a kind have every processor, and beside them."""

    def __init__(self, product: Product, path: str, kind: str, where: str) -> None:
        head = f"GET {path} HTTP/1.1\r\nhost: bench\r\n{product.authorization}\r\n\r\n"
        self._product, self._kind, self._request = product, kind, head.encode()
        words = f"cached reads, {READS:,.0f}/s"
        busy = f"beside {machine.cores()} jobs that burn in {where}"
        self.at_rest = Figure(f"{words}, at rest: p95", "ms", digits=2)
        self.beside = Figure(f"{words}, {busy}: p95", "ms", digits=2)
        self.beside.at_most_times(1.1, self.at_rest, "at rest")

    def run(self, seconds: float) -> None:
        """Add one pair of samples."""
        self.at_rest.add(self._p95_ms(seconds))
        with self._work_running():
            time.sleep(SETTLE_S[self._kind])
            self.beside.add(self._p95_ms(seconds))

    def _p95_ms(self, seconds: float) -> float:
        found = latencies(self._product.url, self._request, READS, seconds)
        return percentile(found, 95) * 1000

    @contextmanager
    def _work_running(self) -> Iterator[None]:
        """Run as many jobs of the kind as there are processors, for this block only."""
        body = json.dumps({"kind": self._kind, "input": {}}).encode()
        jobs = [self._product.document("POST", "/v1/jobs", body)["id"] for _ in range(machine.cores())]
        try:
            self._await(jobs, "running")
            yield
        finally:
            for job in jobs:
                self._product.document("POST", f"/v1/jobs/{job}/cancel")
            self._await(jobs, "cancelled")

    def _await(self, jobs: list[str], state: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while (states := set(map(self._state, jobs))) != {state}:
            if time.monotonic() > until:
                raise BenchError(f"{self._kind}: {', '.join(states)} instead of {state}")
            time.sleep(0.05)

    def _state(self, job: str) -> str:
        return str(self._product.document("GET", f"/v1/jobs/{job}")["state"])
