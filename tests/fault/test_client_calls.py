"""One call, one job: the api is killed between a submit and its answer, and the client's call still comes to exactly one job.

CALLS says how many calls are cut off so; `make fault` cuts 200.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from sluice.client import Retries
from tests.support.both_clients import open_client
from tests.support.proxied_connection import TO_CLIENT
from tests.support.proxy import NORMAL, Behaviour, Proxies, Proxy
from tests.support.stack import Stack
from tests.support.waiting import until

CALLS = int(os.environ.get("CALLS", "10"))
AT_ONCE = 5
SUBMIT = b"POST /v1/jobs "
SILENT = Behaviour(silent=frozenset({TO_CLIENT}))
PATIENT = Retries(tries=10_000, budget_s=90)


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    """Open the thread that proxies run in."""
    made = Proxies()
    yield made
    made.close()


@pytest.mark.timeout(60 + 10 * CALLS)
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_call_whose_api_is_killed_is_one_job(bare_stack: Stack, proxies: Proxies, way: str) -> None:
    await bare_stack.start(consumers=0)
    proxy = proxies.add(int(bare_stack.apis[0].url.rpartition(":")[2]), SUBMIT)
    rng, calls = Random(7), CALLS // 2
    async with open_client(way, f"http://127.0.0.1:{proxy.port}", bare_stack.key, retries=PATIENT) as client:
        jobs: list[Any] = []
        for first in range(0, calls, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, calls))
            jobs += await cut_off(bare_stack, proxy, client, numbers, rng.uniform(0, 0.03))
    assert len({job.id for job in jobs}) == calls
    async with bare_stack.sql() as record:
        rows = await record.fetch("select id::text, tags from jobs")
    assert sorted((row["id"], row["tags"]) for row in rows) == sorted(
        (job.id, f"call-{number}") for number, job in enumerate(jobs)
    )
    assert proxy.counted >= 2 * calls, "each was sent more than once"


async def cut_off(stack: Stack, proxy: Proxy, client: Any, numbers: range, delay_s: float) -> list[Any]:
    """Submit a job for each number, kill the api before any answer arrives, start it again, and return the jobs."""
    sent = proxy.counted + len(numbers)
    proxy.behave(SILENT)
    calls = [asyncio.ensure_future(submit(client, number)) for number in numbers]
    await until(lambda: proxy.counted >= sent)
    await asyncio.sleep(delay_s)
    stack.apis[0].kill()
    proxy.reset()  # with the answers that it holds
    proxy.behave(NORMAL)
    assert not any(call.done() for call in calls)
    stack.apis[0].start()
    await stack.apis[0].ready()
    return list(await asyncio.gather(*calls))


async def submit(client: Any, number: int) -> Any:
    return await client.submit("demo.sum", {"values": [number]}, tags=[f"call-{number}"])
