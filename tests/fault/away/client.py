"""Ask every endpoint at once, and reduce each answer to one word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

import httpx2
import orjson
import redis.asyncio as redis

from tests.support.job_client import until_ended
from tests.support.stack import Stack
from tests.support.waiting import until_found

NUMBERS = count(1)
LARGE = [10**11] * 130
"""Input so large that its row needs a page of its own once rows of this size fill the others."""
LATER = {"delay_s": 3600}
"""Options of a job that stays unfinished."""


class Answer(NamedTuple):
    """What an answer came to, in one word, and after how many seconds.

    The word is the status; `hit` for a result from the cache that says so and states its age; or the type of the problem,
    where it also says when to retry. A missing header is named.
    """

    outcome: str
    after_s: float


class KnownJobs(NamedTuple):
    """URLs of jobs that existed before: finished ones whose documents lie in different places, an unfinished one, finished work."""

    remembered: str
    cached: str
    unfinished: str
    doomed: str
    finished: str
    work: dict[str, Any]


async def prepare(stack: Stack, client: httpx2.AsyncClient) -> KnownJobs:
    """Make the jobs to ask for. Only the first is kept in process memory; of the pure work only the result is."""
    submits = [_pure(), _pure(), _pure(), _sum() | {"options": LATER}, _sum() | {"options": LATER}, _pure()]
    *jobs, spare = [(await _accepted(client, each))["links"]["self"] for each in submits]
    await stack.finished(map(_id, [*jobs[:3], spare]))
    work = submits[0]

    cache = redis.Redis.from_url(stack.servers.redis.url)

    async def both_caches_know() -> bool:
        await until_ended(client, jobs[0])
        again = await client.post("/v1/jobs", json=work)
        return _word(again) == "hit" and all(
            [await cache.keys(f"*:document:{_id(each)}") for each in jobs[1:3]]
        )

    async def copies_can_be_deleted() -> bool:
        """Tell whether it is known again which database the keys in Redis belong to."""
        return (await client.delete(spare)).status_code != 503

    async with cache, asyncio.timeout(60):
        await until_found(both_caches_know)
        await until_found(copies_can_be_deleted)
    remembered, cached, finished, unfinished, doomed = jobs
    return KnownJobs(remembered, cached, unfinished, doomed, finished, work)


async def fill_up(client: httpx2.AsyncClient) -> None:
    """Submit until nothing more is taken: rows that died may leave space in pages that were full."""
    for _ in range(500):
        if (await client.post("/v1/jobs", json=_sum())).status_code == 503:
            return
    raise AssertionError("the disk is not full")


async def ask_everything(client: httpx2.AsyncClient, private_url: str, known: KnownJobs) -> dict[str, Answer]:
    """Send one request of every kind, all at once, and return the answer to each.

    Only then ask whether the api is ready: some servers it knows to be unfit once they have refused something.
    """
    asked = {
        "submit": client.post("/v1/jobs", json=_sum()),
        "known": client.get(known.remembered),
        "cached": client.get(known.cached),
        "same": client.post("/v1/jobs", json=known.work),
        "open": client.get(known.unfinished),
        "wait": client.get(known.unfinished, params={"wait": "0.5"}),
        "list": client.get("/v1/jobs", params={"page_size": 3}),
        "cancel": client.post(f"{known.doomed}/cancel"),
        "delete": client.delete(known.finished),
    }
    answers = dict(zip(asked, await asyncio.gather(*map(_timed, asked.values())), strict=True))
    return answers | {"ready": await _timed(client.get(f"{private_url}/readyz"))}


async def _timed(request: Awaitable[httpx2.Response]) -> Answer:
    began = monotonic()
    answer = await request
    return Answer(_word(answer), monotonic() - began)


def _word(answer: httpx2.Response) -> str:
    headers = answer.headers
    if headers.get("content-type") == "application/problem+json":
        return str(answer.json()["type"]) + _lacks(headers, "retry-after")
    if headers.get("cache-status", "").startswith("sluice; hit"):
        return "hit" + _lacks(headers, "age")
    return str(answer.status_code)


def _lacks(headers: Mapping[str, str], name: str) -> str:
    return "" if headers.get(name, "").isdigit() else f" without {name}"


async def _accepted(client: httpx2.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """Submit it, again while a busy machine commits too slowly."""
    while (answer := await client.post("/v1/jobs", json=body)).status_code == 503:  # noqa: ASYNC110  no event of this loop can be set there
        await asyncio.sleep(0.05)
    assert answer.status_code == 202, answer.text
    return dict(orjson.loads(answer.content))


def _id(url: str) -> str:
    return url.rsplit("/", 1)[1]


def _sum() -> dict[str, Any]:
    return {"kind": "demo.sum", "input": {"values": [next(NUMBERS), *LARGE]}}


def _pure() -> dict[str, Any]:
    return {"kind": "own.pure", "input": {"number": next(NUMBERS)}}
