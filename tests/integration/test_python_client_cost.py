"""What it costs to wait for a thousand jobs, counted by the api that answers: requests a job, and a second."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from time import monotonic
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.both_clients import open_client, wrap
from tests.support.job_client import KINDS
from tests.support.stack import NO_TLS, Stack, stack_on_empty_servers

MANY = 1_000
LOOKS = (("POST", "/v1/jobs/poll"), ("GET", "/v1/jobs/{job_id}"), ("GET", "/v1/jobs/{job_id}/result"))


@pytest.fixture(scope="module")
def cost_stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_on_empty_servers(
        shared_servers, tmp_path_factory.mktemp("cost"), handlers=f"{KINDS},sluice.kinds.demo_sleep"
    ) as stack:
        asyncio.run(stack.start())
        yield stack


async def count_looks(stack: Stack) -> tuple[float, float]:
    """How many looks at jobs the api has answered, and how many of those were polls of many."""
    async with httpx2.AsyncClient(verify=NO_TLS) as client:
        text = (await client.get(f"{stack.apis[0].private_url}/metrics")).text
    counts = dict.fromkeys(LOOKS, 0.0)
    for labels, count in re.findall(r"^sluice_http_requests_total{(.*)} (\S+)$", text, re.MULTILINE):
        method, route = (re.findall(rf'{name}="([^"]*)"', labels)[0] for name in ("method", "route"))
        if (method, route) in counts:
            counts[method, route] += float(count)
    return sum(counts.values()), counts["POST", "/v1/jobs/poll"]


async def submit_many(client: Any) -> list[Any]:
    nap = {"kind": "demo.sleep", "input": {"seconds": 0.05}}
    batch = await client.batch(nap | {"options": {"delay_s": 2 + number % 4}} for number in range(MANY))
    assert len(batch.jobs) == MANY
    return list(wrap(batch.jobs))


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("apart", [False, True], ids=["together", "each by itself"])
async def test_a_thousand_jobs_cost_few_requests(cost_stack: Stack, way: str, apart: bool) -> None:
    async with open_client(way, cost_stack.url, cost_stack.key) as client:
        jobs = await submit_many(client)
        before, began = await count_looks(cost_stack), monotonic()
        if apart:
            results = await asyncio.gather(*(wait_for(job) for job in jobs))
        else:
            done, open_ = await client.wait(jobs, timeout=100)
            assert not open_
            results = [(await job.result())["slept_s"] for job in done]
        took_s = monotonic() - began
        looks, polls = (
            after - earlier for after, earlier in zip(await count_looks(cost_stack), before, strict=True)
        )
    assert polls > 1
    assert len(results) == MANY
    assert min(results) >= 0.05
    assert polls <= took_s + 3, "one a second"
    assert looks <= 2.5 * MANY
    assert looks - polls <= 8 * 4, "beyond eight, nobody asks for a job by itself"


async def wait_for(job: Any) -> float:
    return float((await job.result(timeout=100))["slept_s"])
