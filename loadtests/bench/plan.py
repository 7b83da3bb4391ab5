"""What is measured and what each figure is compared with: the targets of docs/performance.md, in one place."""

from __future__ import annotations

import json
from collections.abc import Callable

from loadtests.bench import processes
from loadtests.bench.beside_work import ReadsBesideWork
from loadtests.bench.figures import Figure
from loadtests.bench.generator import Request
from loadtests.bench.peer_processes import Peers
from loadtests.bench.product import SECOND_API, Product
from loadtests.bench.steps import Answers, Jobs, Latency, Overload, Step

JOB = json.dumps({"kind": "demo.sum", "input": {"values": [1, 2, 3, 4, 5]}}).encode()
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mM8ISfHwMDAxMDAwMDAAAANBAEIf62CUQAAAABJRU5ErkJggg=="
PURE_JOB = json.dumps({"kind": "image.thumbnail", "input": {"image": PICTURE}}).encode()

FINISHED_BY_BARE = 0.16
"""5 times 1,980 jobs/s over 62,000 requests/s: the fastest other system and the bare server on the reference machine."""

WORK = {
    "bench.burn-in-process": "process slots",
    "bench.burn-in-thread": "threads of the shared host",
}
"""Kinds of work beside which nothing may slow down, and what they keep busy."""

COSTING = ("api", "consumer", "PostgreSQL", "RabbitMQ", "Redis")


class Plan:
    """The steps of a round, and the lines of the table."""

    def __init__(self, product: Product, peers: Peers) -> None:
        self._product, self._peers = product, peers
        self.figures: list[Figure] = self._memory()
        self.steps: list[Step] = []
        bare = self._add_rate("bare ASGI", Request(peers.bare_url), peers.bare_pids)
        self._plan_reads(bare)
        self._plan_cached_submits()
        self._plan_jobs(bare)
        self._plan_latency()
        self._plan_reads_beside_work()

    def _memory(self) -> list[Figure]:
        """Measure memory at rest, before anything was asked of these processes."""
        found = []
        for name in ("api", "consumer") if processes.AVAILABLE else ():
            figure = Figure(f"memory at rest: {name}", "MiB")
            figure.add(processes.memory_mib(self._product.pids[name][0]))
            figure.at_most(110)
            found.append(figure)
        return found

    def _plan_reads(self, bare: Figure) -> None:
        job, etag = self._product.run_job(JOB)
        path, key = f"/v1/jobs/{job}", self._product.authorization
        usual = self._add_rate(
            "FastAPI + one Redis GET", Request(self._peers.usual_url), self._peers.usual_pids
        )
        polls = {
            "poll of a finished job, 200": Request(f"{self._product.url}{path}", [key]),
            "poll of a finished job, 304": Request(
                f"{self._product.url}{path}", [key, f"if-none-match: {etag}"], expected=3
            ),
        }
        for name, request in polls.items():
            figure = self._add_rate(name, request, self._product.pids["api"])
            figure.at_least(0.75, bare, "bare ASGI")
            figure.at_least(7, usual, "FastAPI + one Redis GET")
        self._plan_redis_read(bare, Request(f"{self._product.url_without_memory}{path}", [key]))

    def _plan_redis_read(self, bare: Figure, request: Request) -> None:
        figure = Figure("poll of a finished job, 200, read from Redis each time", "/s")
        pids = self._product.pids[SECOND_API]
        measure = Answers(figure, request, pids, self._product.second_api_running)
        figure.at_least(0.3, bare, "bare ASGI")
        self._add(measure.run, figure)

    def _plan_cached_submits(self) -> None:
        self._product.run_job(PURE_JOB)
        usual = self._add_rate(
            "FastAPI + one Redis GET, POST",
            self._product.submit(self._peers.usual_url, JOB, "usual"),
            self._peers.usual_pids,
        )
        request = self._product.submit(f"{self._product.url}/v1/jobs", PURE_JOB, "pure")
        figure = self._add_rate("submit answered from the result cache", request, self._product.pids["api"])
        figure.at_least(5, usual, "FastAPI + one Redis GET, POST")

    def _plan_jobs(self, bare: Figure) -> None:
        ours = self._product.submit(f"{self._product.url}/v1/jobs", JOB, "job")
        theirs = self._product.submit(self._peers.jobs_url, JOB, "job of the baseline")
        pids = {name: self._product.pids[name] for name in COSTING}
        for connections in (64, 256):
            usual = Jobs(self._peers.jobs_counter, theirs, connections, {}, "FastAPI + aio-pika + asyncpg: ")
            self._add(usual.run, usual.accepted, usual.finished)
            jobs = Jobs(self._product.counter, ours, connections, pids)
            jobs.finished.at_least(5, usual.finished, "FastAPI + aio-pika + asyncpg")
            jobs.finished.at_least(FINISHED_BY_BARE, bare, "bare ASGI")
            cost = jobs.cost.values() if connections == 64 and processes.AVAILABLE else ()
            self._add(jobs.run, jobs.accepted, jobs.finished, *cost)
        overload = Overload(self._product.counter, ours)
        overload.accepted.at_least(0.9, jobs.accepted, f"{connections} connections")
        overload.slowest.at_most(1_000)
        self._add(overload.run, overload.accepted, overload.slowest)

    def _plan_latency(self) -> None:
        latency = Latency(self._product, JOB)
        latency.p50.at_most(10)
        latency.p99.at_most(40)
        self._add(latency.run, latency.p50, latency.p99)

    def _plan_reads_beside_work(self) -> None:
        job, _ = self._product.run_job(JOB)
        for kind, where in WORK.items():
            reads = ReadsBesideWork(self._product, f"/v1/jobs/{job}", kind, where)
            self._add(reads.run, reads.at_rest, reads.beside)

    def _add_rate(self, name: str, request: Request, pids: list[int]) -> Figure:
        figure = Figure(name, "/s")
        self._add(Answers(figure, request, pids).run, figure)
        return figure

    def _add(self, run: Callable[[float], None], *figures: Figure) -> None:
        self.steps.append(Step(figures[0].name, run))
        self.figures += figures
