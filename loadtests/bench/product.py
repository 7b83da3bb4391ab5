"""The product as the bench sees it: a program that was started, its addresses, a key, and its metrics."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loadtests.bench.generator import BenchError, Request

ROOT = Path(__file__).parents[2]
SECOND_API = "api without memory"
STOP_S = 90.0


class JobCounter(NamedTuple):
    """A counter of `/metrics`: the jobs whose result was stored since a worker's start."""

    url: str
    name: str

    def finished(self) -> int:
        """Read its value. Raises BenchError."""
        _, _, text = ask("GET", self.url)
        found = re.search(rf"^{self.name} (\S+)$", text.decode(), re.MULTILINE)
        if found is None:
            raise BenchError(f"{self.url} does not count jobs")
        return int(float(found[1]))

    def await_finished(self, count: int, within_s: float = 60.0) -> float:
        """Wait until so many jobs have succeeded; return the moment (perf_counter). Raises BenchError."""
        until = time.perf_counter() + within_s
        while (found := self.finished()) < count:
            if time.perf_counter() > until:
                raise BenchError(f"{count - found} jobs are unfinished after {within_s:.0f} s")
            time.sleep(0.02)
        return time.perf_counter()


class Product(NamedTuple):
    """Where everything is. `directory` goes when the product does.

    `pids` maps the name of a process to the ids it had when it was started, the main one first.
    """

    directory: str
    url: str
    url_without_memory: str
    key: str
    consumer_metrics: str
    postgres_url: str
    rabbitmq_url: str
    redis_url: str
    pids: dict[str, list[int]]
    versions: dict[str, str]

    @property
    def authorization(self) -> str:
        """Return the header line with the key."""
        return f"authorization: Bearer {self.key}"

    @property
    def counter(self) -> JobCounter:
        """Return the counter of jobs whose result is in the record."""
        return JobCounter(self.consumer_metrics, "sluice_jobs_succeeded_total")

    def submit(self, url: str, body: bytes, name: str) -> Request:
        """Return a request that posts this body, which is kept in a file of that name."""
        file = Path(self.directory) / name
        file.write_bytes(body)
        return Request(url, [self.authorization, "content-type: application/json"], str(file))

    def run_job(self, body: bytes) -> tuple[str, str]:
        """Run one job to its end; return its id and its ETag."""
        headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
        headers["Authorization"] = f"Bearer {self.key}"
        status, answered, document = ask("POST", f"{self.url}/v1/jobs", body, headers)
        if status != 200:
            raise BenchError(f"a job was answered with {status}: {document[:300]!r}")
        return json.loads(document)["id"], answered["etag"]

    def document(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Return the job's document with which a request is answered. Raises BenchError."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        status, _, document = ask(method, f"{self.url}{path}", body, headers)
        if status >= 300:
            raise BenchError(f"{method} {path} was answered with {status}: {document[:300]!r}")
        return dict(json.loads(document))

    @contextmanager
    def second_api_running(self) -> Iterator[None]:
        """Let the second api run for this block only; otherwise it must not take part in anything."""
        self._signal_second(signal.SIGCONT)
        try:
            yield
        finally:
            self.stop_second_api()

    def stop_second_api(self) -> None:
        """Freeze the second api."""
        self._signal_second(signal.SIGSTOP)

    def _signal_second(self, number: signal.Signals) -> None:
        for pid in self.pids[SECOND_API]:
            kill(pid, number)


@contextmanager
def product_running() -> Iterator[Product]:
    """Run the product on servers of its own; all of it ends with the block, or with this program."""
    with running("infra.local.bench", stdout=subprocess.PIPE) as program:
        assert program.stdout is not None  # noqa: S101  it was asked for
        line = program.stdout.readline()
        if not line:
            raise BenchError("the product did not start")
        yield Product(**json.loads(line))


@contextmanager
def running(
    module: str, *arguments: str, python: str = sys.executable, **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of this tree as a program that ends when its standard input does, so that it cannot outlive this one."""
    command = [python, "-m", module, *arguments]
    program = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True, **how)  # noqa: S603  our own command line
    try:
        yield program
    finally:
        if program.stdin:
            program.stdin.close()
        program.wait(STOP_S)


def ask(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request on a connection of its own. Raises OSError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, parts.path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
