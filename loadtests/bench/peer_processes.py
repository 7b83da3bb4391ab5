"""The programs that the product is compared with, started beside it on the same servers."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from infra.local.ports import free_port
from loadtests.bench.generator import BenchError
from loadtests.bench.product import JobCounter, Product, running


class Peers(NamedTuple):
    """Their addresses and process ids."""

    bare_url: str
    bare_pids: list[int]
    usual_url: str
    usual_pids: list[int]
    jobs_url: str
    jobs_counter: JobCounter


@contextmanager
def peers_running(product: Product) -> Iterator[Peers]:
    """Run all of them for the block."""
    bare, usual, api, worker = (free_port() for _ in range(4))
    urls = {"BASELINE_POSTGRES_URL": product.postgres_url, "BASELINE_RABBITMQ_URL": product.rabbitmq_url}
    environment = os.environ | urls
    with (
        running("loadtests.bench.peer_programs", "bare", str(bare)) as one,
        running("loadtests.bench.peer_programs", "usual", str(usual), product.redis_url) as other,
        running("loadtests.baseline", "api", str(api), env=environment),
    ):
        await_listeners(bare, usual, api)  # the table and the queue are there once the api listens
        with running("loadtests.baseline", "worker", str(worker), env=environment):
            await_listeners(worker)
            counter = JobCounter(f"http://127.0.0.1:{worker}/metrics", "baseline_jobs_succeeded_total")
            yield Peers(
                f"http://127.0.0.1:{bare}/", [one.pid], f"http://127.0.0.1:{usual}/job", [other.pid],
                f"http://127.0.0.1:{api}/jobs", counter,
            )  # fmt: skip


def await_listeners(*ports: int, within_s: float = 20.0) -> None:
    """Return once all of them listen. Raises BenchError."""
    until = time.monotonic() + within_s
    for port in ports:
        while not _listens(port):
            if time.monotonic() > until:
                raise BenchError(f"nothing listens on port {port} after {within_s:.0f} s")
            time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
