"""The steps of a round. Each measures one thing for about as long as it is told to, and adds a sample to its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from loadtests.bench import processes
from loadtests.bench.figures import Figure, percentile
from loadtests.bench.generator import FIRST, Request, Run, drive, next_count
from loadtests.bench.open_loop import latencies
from loadtests.bench.product import JobCounter, Product

OPEN_RATE = 200.0
OVERLOAD = 1_024
"""Connections, sixteen times those that keep it busy."""

Running = Callable[[], AbstractContextManager[None]]


class Step(NamedTuple):
    """`run` takes the seconds it may last."""

    name: str
    run: Callable[[float], None]


class Answers:
    """Requests per second that one process answers, and the processor time for each."""

    def __init__(
        self, figure: Figure, request: Request, pids: list[int], running: Running = nullcontext
    ) -> None:
        self._figure, self._request = figure, request
        self._pids, self._running = pids, running
        self._last: Run | None = None

    def run(self, seconds: float, connections: int = 64) -> None:
        """Add one sample."""
        with self._running():
            warm = drive(self._request, connections, FIRST)
            count = next_count(self._last or warm, seconds, connections)
            before = processes.cpu_s(self._pids)
            run = self._last = drive(self._request, connections, count)
            used = processes.cpu_s(self._pids) - before
        self._figure.add(run.per_s, used * 1e6 / (run.good + run.bad), run.bad)


class Jobs:
    """Jobs from the first request until the record has the result of the last, over so many connections."""

    def __init__(
        self,
        counter: JobCounter,
        request: Request,
        connections: int,
        pids: dict[str, list[int]],
        whose: str = "",
    ) -> None:
        self._counter, self._request, self._connections, self._pids = counter, request, connections, pids
        words = f"{connections} connections"
        self.accepted = Figure(f"{whose}jobs accepted, {words}", "/s")
        self.finished = Figure(f"{whose}jobs finished, {words}", "/s")
        self.cost = {name: Figure(f"processor time per job: {name}", "µs") for name in pids}
        self.cost["all"] = Figure("processor time per job: all together", "µs")
        self._per_s = 0.0

    def run(self, seconds: float) -> None:
        """Add one sample to each figure."""
        if not self._per_s:
            self._per_s = self._measure(FIRST)[1]
        count = next_count(Run(1, 0, self._per_s), seconds, self._connections)
        before = self._used()
        run, self._per_s = self._measure(count)
        after = self._used()
        self.accepted.add(run.per_s, bad=run.bad)
        self.finished.add(self._per_s)
        costs = {name: (after[name] - before[name]) * 1e6 / run.good for name in before}
        for name, cost in {**costs, "all": sum(costs.values())}.items():
            self.cost[name].add(cost)

    def _measure(self, count: int) -> tuple[Run, float]:
        """Submit so many; return the run of the submits, and the finished jobs per second."""
        before, started = self._counter.finished(), time.perf_counter()
        run = drive(self._request, self._connections, count)
        ended = self._counter.await_finished(before + run.good)
        return run, run.good / (ended - started)

    def _used(self) -> dict[str, float]:
        return {name: processes.cpu_s(pids) for name, pids in self._pids.items()}


class Overload:
    """Jobs accepted while many more connections ask than keep it busy, and none of them waits when it is refused."""

    def __init__(self, counter: JobCounter, request: Request) -> None:
        self._counter, self._request = counter, request
        words = f"{OVERLOAD} connections that never rest"
        self.accepted = Figure(f"jobs accepted, {words}", "/s")
        self.slowest = Figure(f"slowest answer, {words}", "ms")
        self._per_s = 0.0

    def run(self, seconds: float) -> None:
        """Add one sample to both figures; refusals count as unexpected answers."""
        count = next_count(Run(1, 0, self._per_s), seconds, OVERLOAD)
        before = self._counter.finished()
        run = drive(self._request, OVERLOAD, count)
        self._per_s = run.per_s * (run.good + run.bad) / run.good
        self._counter.await_finished(before + run.good)
        self.accepted.add(run.per_s, bad=run.bad)
        self.slowest.add(run.slowest_s * 1000)


class Latency:
    """From a submit's due time to its result, in one request that waits, at a fixed rate."""

    def __init__(self, product: Product, body: bytes) -> None:
        head = f"POST /v1/jobs HTTP/1.1\r\nhost: bench\r\n{product.authorization}\r\nprefer: wait=20\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._url, self._request = product.url, head.encode() + body
        words = f"submit → result, Prefer: wait, {OPEN_RATE:.0f} jobs/s"
        self.p50 = Figure(f"{words}: p50", "ms", digits=1)
        self.p99 = Figure(f"{words}: p99", "ms", digits=1)

    def run(self, seconds: float) -> None:
        """Add one sample to both figures."""
        found = latencies(self._url, self._request, OPEN_RATE, seconds)
        self.p50.add(percentile(found, 50) * 1000)
        self.p99.add(percentile(found, 99) * 1000)
