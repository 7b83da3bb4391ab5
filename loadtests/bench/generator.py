"""Closed-loop load with h2load: so many connections with one request each under way, until a number of requests is done.

The number follows from the rate seen last, so that a run takes the time it is given on any machine.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 200_000
"""Requests of one run, however fast the server."""

FIRST = 500
"""Requests of a run that warms up and finds the rate."""

TIMEOUT_S = 60.0

_RATE = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_DONE = re.compile(r"requests: .* (\d+) done")
_SLOWEST = re.compile(r"time for request: +\S+ +([\d.]+)(us|ms|s) ")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_STATUS = re.compile(r"(\d+) ([2345])xx")


class BenchError(Exception):
    """A run that is no measurement; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent again and again, and the class of status it must be answered with (2: 2xx)."""

    url: str
    headers: Sequence[str] = ()
    body_file: str = ""
    expected: int = 2


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run: expected answers, all others, expected answers per second, and the seconds that the slowest answer took."""

    good: int
    bad: int
    per_s: float
    slowest_s: float = 0.0


def drive(request: Request, connections: int, count: int) -> Run:
    """Send `count` requests over `connections` connections. Raises BenchError if none was answered as expected."""
    command = ["h2load", "--h1", "-t", "1", "-c", str(connections), "-n", str(max(count, connections))]
    for header in request.headers:
        command += ["-H", header]
    if request.body_file:
        command += ["-d", request.body_file]
    try:
        done = subprocess.run(  # noqa: S603  our own command
            [*command, request.url], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{request.url}: not done after {TIMEOUT_S:.0f} s") from None
    return _read(done.stdout, request)


def next_count(run: Run, seconds: float, connections: int) -> int:
    """Return how many requests will take about so many seconds."""
    return max(4 * connections, min(MOST, int(run.per_s * seconds)))


def _read(said: str, request: Request) -> Run:
    rate, done = _RATE.search(said), _DONE.search(said)
    statuses = {int(kind): int(count) for count, kind in _STATUS.findall(said)}
    good = statuses.get(request.expected, 0)
    if rate is None or done is None or not good:
        raise BenchError(f"{request.url}: no {request.expected}xx answer. h2load said:\n{said[-800:]}")
    all_done = int(done[1])
    slowest = _SLOWEST.search(said)
    slowest_s = float(slowest[1]) * _SECONDS[slowest[2]] if slowest else 0.0
    return Run(good, all_done - good, float(rate[1]) * good / all_done, slowest_s)
