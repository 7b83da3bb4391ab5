"""The product beside other job queues, in turns: `make bench ARGS=--peers`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.ports import free_port
from loadtests.bench import processes
from loadtests.bench.figures import Figure
from loadtests.bench.generator import FIRST, Run, next_count
from loadtests.bench.job_client import JobClient, Service
from loadtests.bench.peer_environment import python_with
from loadtests.bench.peer_processes import await_listeners
from loadtests.bench.plan import JOB
from loadtests.bench.product import ROOT, Product, running
from loadtests.bench.steps import Step

CONNECTIONS = 64
TIMES = 4
"""How many times as many jobs the product is to finish."""

RESULT = b'"total":15'
"""What the result of the bench's job holds."""

PEERS = ROOT / "loadtests" / "peers"
SERVERS = ("RabbitMQ", "Redis")


class FinishedJobs:
    """Finished jobs per second of one service, as its client sees them, and what all processes that take part use for a job."""

    def __init__(self, name: str, service: Service, pids: list[int]) -> None:
        self._client, self._pids = JobClient(service), pids
        self.finished = Figure(f"{name}: jobs finished, {CONNECTIONS} connections", "/s")
        self.cost = Figure(f"{name}: processor time per job, its result read once", "µs")
        self._per_s = 0.0

    def run(self, seconds: float) -> None:
        """Add one sample to both figures."""
        if not self._per_s:
            self._per_s = self._measure(FIRST)
        count = next_count(Run(1, 0, self._per_s), seconds, CONNECTIONS)
        before = processes.cpu_s(self._pids)
        self._per_s = self._measure(count)
        self.finished.add(self._per_s)
        self.cost.add((processes.cpu_s(self._pids) - before) * 1e6 / count)

    def _measure(self, count: int) -> float:
        return count / self._client.run(count, CONNECTIONS).seconds


class QueuePlan:
    """The steps of a round, and the lines of the table."""

    def __init__(self, product: Product, peer: FinishedJobs) -> None:
        service = Service(f"{product.url}/v1/jobs", (product.authorization,), JOB, RESULT)
        ours = FinishedJobs("Sluice", service, _pids(product, "api", "consumer", "PostgreSQL", *SERVERS))
        ours.finished.at_least(TIMES, peer.finished, "dramatiq")
        self.steps = [Step(each.finished.name, each.run) for each in (peer, ours)]
        costs = [peer.cost, ours.cost] if processes.AVAILABLE else []
        self.figures = [peer.finished, ours.finished, *costs]


@contextmanager
def dramatiq_running(product: Product) -> Iterator[FinishedJobs]:
    """Run api and worker for the block, on the product's servers."""
    module, lock, port = "loadtests.peers.dramatiq", PEERS / "dramatiq" / "requirements.txt", free_port()
    urls = {"DRAMATIQ_RABBITMQ_URL": product.rabbitmq_url, "DRAMATIQ_REDIS_URL": product.redis_url}
    how: dict[str, Any] = {"python": python_with(lock), "env": os.environ | urls}
    name = f"dramatiq {locked_version('dramatiq', lock.read_text())}"
    with running(module, "api", str(port), **how) as api, running(module, "worker", **how) as worker:
        await_listeners(port)
        pids = [api.pid, worker.pid, *_pids(product, *SERVERS)]
        yield FinishedJobs(name, Service(f"http://127.0.0.1:{port}/jobs", (), JOB, RESULT), pids)


def locked_version(name: str, lock: str) -> str:
    """Return which release of a package is locked."""
    found = re.search(rf"^{name}(?:\[.*\])?==(\S+)", lock, re.MULTILINE)
    return found[1] if found else "?"


def _pids(product: Product, *names: str) -> list[int]:
    return [pid for name in names for pid in product.pids[name]]
