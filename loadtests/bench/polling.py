"""Clients that keep to the advice: how often they ask, how much later they know, and how well `eta` holds: `make bench ARGS=--polling`.

Each job has a client of its own, which comes back after `Retry-After`, or waits for the result with `Prefer: wait`. Jobs sleep for 10 to
20 s: `Retry-After` is in whole seconds, so those of shorter ones are known a second late. They come by chance and, every ten seconds,
thirty at once, so that some wait for a slot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

import httpx2

from loadtests.bench.figures import Figure
from loadtests.bench.generator import BenchError
from loadtests.bench.product import Product
from loadtests.bench.steps import Step

PER_S = 5.0
BURST, BURST_EVERY_S = 30, 10.0
SHORTEST_S, LONGEST_S = 10.0, 20.0
"""With the 128 slots of the default lane, nine of ten are busy."""

TIMES_AS_LONG = 20
"""A step lasts so many times as long as those of the other benches: jobs take seconds."""

DEADLINE_S = 120.0
WAIT_S = 20
MOST_ASKED, MOST_LOST_PERCENT = 2.5, 10.0
ENDED = ("succeeded", "failed", "cancelled")


class Followed(NamedTuple):
    """One job as its client saw it: status requests, and seconds that it took and until its client knew.

    `left_s` is what was left at the first look, `p90_s` what was said then; both are None if nothing was.
    """

    asked: int
    took_s: float
    known_s: float
    left_s: float | None
    p90_s: float | None


class PollingClient:
    """Submits jobs that sleep, and asks for each as its answers advise. `waits` says that it waits for results."""

    def __init__(self, url: str, key: str, waits: bool) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._waits = waits

    async def run(self, arrivals: list[tuple[float, float]]) -> list[Followed]:
        """Submit jobs at these seconds from now, which sleep so long; return what came of each. Raises BenchError, TimeoutError."""
        limits = httpx2.Limits(max_connections=None)
        async with (
            asyncio.timeout(DEADLINE_S),
            httpx2.AsyncClient(
                base_url=self._url, headers=self._headers, limits=limits, timeout=60
            ) as client,
        ):
            start = time.monotonic()
            return await asyncio.gather(*(self._follow(client, start + due, nap) for due, nap in arrivals))

    async def _follow(self, client: httpx2.AsyncClient, due: float, nap_s: float) -> Followed:
        await asyncio.sleep(due - time.monotonic())
        body = {"kind": "demo.sleep", "input": {"seconds": nap_s}}
        answer = await client.post("/v1/jobs", json=body)
        if answer.status_code != 202:
            raise BenchError(f"a submit was answered with {answer.status_code}: {answer.text[:300]}")
        return await (_wait if self._waits else _come_back)(client, answer)


async def _come_back(client: httpx2.AsyncClient, answer: httpx2.Response) -> Followed:
    """Ask after each `Retry-After`, with the ETag that is known."""
    path, asked, first = answer.headers["location"], 0, None
    document: dict[str, Any] = answer.json()
    while document["state"] not in ENDED:
        await asyncio.sleep(float(answer.headers["retry-after"]))
        answer = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        if answer.status_code not in (200, 304):
            raise BenchError(f"a look-up was answered with {answer.status_code}: {answer.text[:300]}")
        asked += 1
        document = answer.json() if answer.status_code == 200 else document
        if first is None and document.get("eta"):
            first = (time.time(), float(document["eta"]["p90_s"]))
    return _judge(document, asked, time.time(), first)


async def _wait(client: httpx2.AsyncClient, answer: httpx2.Response) -> Followed:
    """Wait for the result; the document is looked up for its times alone."""
    path, asked = answer.headers["location"], 0
    while answer.status_code == 202:
        answer = await client.get(f"{path}/result", headers={"Prefer": f"wait={WAIT_S}"})
        asked += 1
    known_at = time.time()
    return _judge((await client.get(path)).json(), asked, known_at, None)


class PolledJobs:
    """The figures of clients that go one of the two ways."""

    def __init__(self, product: Product, name: str, waits: bool) -> None:
        self._client = PollingClient(product.url, product.key, waits)
        self._random = Random(name)
        self.asked = Figure(f"{name}: status requests a job", "", digits=2)
        self.lost = Figure(f"{name}: known later than at its end, of the time that jobs took", "%", digits=1)
        self.held = Figure(f"{name}: ended within the p90_s of the first look that had one", "%", digits=1)
        self.asked.at_most(MOST_ASKED)
        self.lost.at_most(MOST_LOST_PERCENT)

    @property
    def figures(self) -> list[Figure]:
        """Return those of which there are samples."""
        return [each for each in (self.asked, self.lost, self.held) if each.samples]

    def run(self, seconds: float) -> None:
        """Add one sample to each figure. Raises BenchError."""
        arrivals = list(_arrivals(self._random, seconds * TIMES_AS_LONG))
        try:
            followed = asyncio.run(self._client.run(arrivals))
        except (TimeoutError, httpx2.HTTPError) as error:
            raise BenchError(f"{type(error).__name__} with {len(arrivals)} jobs that are polled") from None
        self.asked.add(sum(each.asked for each in followed) / len(followed))
        took_s = sum(each.took_s for each in followed)
        self.lost.add(100 * (sum(each.known_s for each in followed) - took_s) / took_s)
        told = [
            each.left_s <= each.p90_s
            for each in followed
            if each.left_s is not None and each.p90_s is not None
        ]
        if told:
            self.held.add(100 * sum(told) / len(told))


class PollingPlan:
    """The steps of a round, and the lines of the table."""

    def __init__(self, product: Product) -> None:
        product.stop_second_api()
        self._ways = [
            PolledJobs(product, "comes back after Retry-After", waits=False),
            PolledJobs(product, f"waits with Prefer: wait={WAIT_S}", waits=True),
        ]
        self.steps = [Step(each.asked.name, each.run) for each in self._ways]

    @property
    def figures(self) -> list[Figure]:
        """Return those that were measured."""
        return [figure for each in self._ways for figure in each.figures]


def _arrivals(random: Random, seconds: float) -> Iterator[tuple[float, float]]:
    """Draw when jobs come, and for how long each is to sleep."""
    due = random.expovariate(PER_S)
    while due < seconds:
        yield due, random.uniform(SHORTEST_S, LONGEST_S)
        due += random.expovariate(PER_S)
    for number in range(int(seconds / BURST_EVERY_S)):
        for _ in range(BURST):
            yield (number + 0.5) * BURST_EVERY_S, random.uniform(SHORTEST_S, LONGEST_S)


def _judge(
    document: dict[str, Any], asked: int, known_at: float, first: tuple[float, float] | None
) -> Followed:
    if document["state"] != "succeeded":
        raise BenchError(f"a job ended as {document['state']}: {document['error']}")
    created, finished = (
        datetime.fromisoformat(document[name]).timestamp() for name in ("created_at", "finished_at")
    )
    left_s, p90_s = (finished - first[0], first[1]) if first else (None, None)
    return Followed(asked, finished - created, known_at - created, left_s, p90_s)
