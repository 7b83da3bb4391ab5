"""Three times as many submits as can be done, sent by the clock, and what becomes of them: `make bench ARGS=--overload`.

What a server can do is measured first, over connections that wait for each answer. Then thousands of connections send
three times as much, for a minute, while one client reads what is cached; at last one client submits until all is as before.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import uvloop

from loadtests.bench import processes
from loadtests.bench.figures import Figure, percentile
from loadtests.bench.generator import FIRST, BenchError, Request, drive, next_count
from loadtests.bench.open_loop import Connection
from loadtests.bench.plan import JOB
from loadtests.bench.product import Product
from loadtests.bench.steps import Step

TIMES = 3
CONNECTIONS = 3_000
TIMES_AS_LONG = 24
"""Overload lasts so many times as long as the steps of the other benches: a minute, or twelve seconds if it is to be quick."""

BUSY = 64
"""Connections that keep the server busy and make nobody wait."""

READ_EVERY_S = 0.01
NORMAL_S, NORMAL_ANSWERS, PATIENCE_S = 0.1, 5, 30.0
"""All is as before once so many submits in a row were accepted within so many seconds each."""

ACCEPTED, REFUSED = {200, 202}, {429, 503}


class Answer(NamedTuple):
    """One answer as h2load saw it."""

    status: int
    took_s: float


class Flood:
    """Sends a request at a rate over many connections, each of which waits for its answer."""

    def __init__(self, request: Request, log: Path) -> None:
        self._request, self._log = request, log

    def run(self, per_s: float, seconds: float) -> list[Answer]:
        """Return all answers; a status of -1 stands for none. Raises BenchError."""
        command = ["h2load", "--h1", "-t", "1", "-c", str(CONNECTIONS), f"--rps={per_s / CONNECTIONS:.4f}"]
        command += [f"--duration={seconds:.0f}", f"--log-file={self._log}", "-d", self._request.body_file]
        command += [word for header in self._request.headers for word in ("-H", header)]
        self._log.unlink(missing_ok=True)
        try:
            subprocess.run(  # noqa: S603  our own command
                [*command, self._request.url], capture_output=True, check=True, timeout=seconds + PATIENCE_S
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            raise BenchError(f"h2load: {type(error).__name__} at {per_s:.0f} requests/s") from None
        return list(read_log(self._log.read_text().splitlines()))


def read_log(lines: Iterable[str]) -> Iterator[Answer]:
    """Yield the answers that h2load has logged: when it began, its status, and the microseconds that it took."""
    for line in lines:
        _, status, took_us = line.split("\t")[:3]
        yield Answer(int(status), int(took_us) / 1e6)


class Client:
    """One client that sends the same request again and again over one connection."""

    def __init__(self, url: str, request: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._request = parts.hostname or "", parts.port or 80, request

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Callable[[], Awaitable[Answer]]]:
        """Yield what sends it once more."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)

        async def ask() -> Answer:
            began = perf_counter()
            status = (await connection.ask(self._request)).split(b" ", 2)[1]
            return Answer(int(status), perf_counter() - began)

        try:
            yield ask
        finally:
            connection.close()

    async def read_until(self, end: asyncio.Future[Any]) -> list[float]:
        """Return the seconds that each answer took. Raises BenchError for one that is refused."""
        took = list[float]()
        async with self.connected() as ask:
            while not end.done():
                answer = await ask()
                if answer.status not in ACCEPTED:
                    raise BenchError(f"a cached read was answered with {answer.status}")
                took.append(answer.took_s)
                await asyncio.sleep(READ_EVERY_S)
        return took

    async def until_normal(self) -> float:
        """Return the seconds until it is accepted at once again. Raises BenchError."""
        async with self.connected() as ask:
            began = since = perf_counter()
            good = 0
            while good < NORMAL_ANSWERS:
                answer = await ask()
                if answer.status in ACCEPTED and answer.took_s < NORMAL_S:
                    good += 1
                else:
                    good, since = 0, perf_counter()
                    await asyncio.sleep(READ_EVERY_S)
                if since - began > PATIENCE_S:
                    raise BenchError(f"submits are refused or late {PATIENCE_S:.0f} s after the overload")
        return since - began


class Overload:
    """What the server accepts and finishes at its best, and what while it is asked for three times as much."""

    def __init__(self, product: Product, job: bytes) -> None:
        self._product, self._submit = product, product.submit(f"{product.url}/v1/jobs", job, "job")
        self._flood = Flood(self._submit, Path(product.directory, "flood.log"))
        found, _ = product.run_job(job)
        key = product.authorization
        self._reader = Client(
            product.url, f"GET /v1/jobs/{found} HTTP/1.1\r\nhost: bench\r\n{key}\r\n\r\n".encode()
        )
        head = f"POST /v1/jobs HTTP/1.1\r\nhost: bench\r\n{key}\r\ncontent-type: application/json\r\n"
        self._submitter = Client(product.url, f"{head}content-length: {len(job)}\r\n\r\n".encode() + job)
        over = f"{TIMES} times as many sent, {CONNECTIONS:,} connections"
        self.best = Figure(f"jobs accepted, {BUSY} connections", "/s")
        self.accepted = Figure(f"jobs accepted, {over}", "/s")
        self.finished_at_best = Figure(f"jobs finished, {BUSY} connections", "/s")
        self.finished = Figure(f"jobs finished meanwhile, {over}", "/s")
        self.slowest = Figure(f"slowest answer, {over}", "ms")
        self.refused = Figure("a refusal: p99", "ms")
        self.at_rest = Figure("a cached read by one client, at rest: p95", "ms", digits=2)
        self.read = Figure(f"a cached read by one client, {over}: p95", "ms", digits=2)
        self.normal = Figure("seconds until all is as before", "s", digits=2)
        self.memory = Figure("memory of the api afterwards", "MiB")
        self.accepted.at_least(0.9, self.best, f"{BUSY} connections")
        self.finished.at_least(0.9, self.finished_at_best, f"{BUSY} connections")
        self.slowest.at_most(1_000)
        self.refused.at_most(50)
        self.normal.at_most(5)

    @property
    def figures(self) -> list[Figure]:
        """Return those of which there are samples."""
        every = (
            self.best, self.accepted, self.finished_at_best, self.finished, self.slowest, self.refused,
            self.at_rest, self.read, self.normal, self.memory,
        )  # fmt: skip
        return [each for each in every if each.samples]

    def run(self, seconds: float) -> None:
        """Add one sample to each figure. Raises BenchError."""
        per_s = self._measure_best(seconds * 4)
        try:
            uvloop.run(self._measure_overload(TIMES * per_s, seconds * TIMES_AS_LONG))
        except OSError as error:
            raise BenchError(f"{self._product.url}: {type(error).__name__}") from None
        if processes.AVAILABLE:
            self.memory.add(processes.memory_mib(self._product.pids["api"][0]))

    def _measure_best(self, seconds: float) -> float:
        counter = self._product.counter
        started = counter.finished()
        warm = drive(self._submit, BUSY, FIRST)
        counter.await_finished(started + warm.good)
        before, began = counter.finished(), perf_counter()
        run = drive(self._submit, BUSY, next_count(warm, seconds, BUSY))
        ended = counter.await_finished(before + run.good)
        self.best.add(run.per_s, bad=run.bad)
        self.finished_at_best.add(run.good / (ended - began))
        return run.per_s

    async def _measure_overload(self, per_s: float, seconds: float) -> None:
        rest = asyncio.get_running_loop().create_task(asyncio.sleep(seconds / 10))
        self.at_rest.add(percentile(await self._reader.read_until(rest), 95) * 1000)
        before = self._product.counter.finished()
        flood = asyncio.create_task(asyncio.to_thread(self._flood.run, per_s, seconds))
        read = await self._reader.read_until(flood)
        finished, answers = self._product.counter.finished() - before, await flood
        self.normal.add(await self._submitter.until_normal())
        accepted = [each for each in answers if each.status in ACCEPTED]
        refused = [each.took_s for each in answers if each.status in REFUSED]
        self.accepted.add(len(accepted) / seconds, bad=len(answers) - len(accepted) - len(refused))
        self.finished.add(finished / seconds)
        self.slowest.add(max(each.took_s for each in answers) * 1000)
        if refused:
            self.refused.add(percentile(refused, 99) * 1000)
        self.read.add(percentile(read, 95) * 1000)
        await asyncio.to_thread(self._product.counter.await_finished, before + len(accepted))


class OverloadPlan:
    """The steps of a round, and the lines of the table."""

    def __init__(self, product: Product) -> None:
        product.stop_second_api()
        self._overload = Overload(product, JOB)
        self.steps = [Step("overload", self._overload.run)]

    @property
    def figures(self) -> list[Figure]:
        """Return those that were measured."""
        return self._overload.figures
