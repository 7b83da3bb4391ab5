"""While jobs of both wait, a lane gives `normal` four slots for each that it gives `low`, on real servers, however few it has."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from infra.local.servers import Servers
from sluice.core.lanes import WEIGHTS
from tests.support.job_client import SUM
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found

BATCH = 600
LOOKED_AT = 2 / 3
"""As many of both are looked at for each that was submitted of one, so that neither has run out."""
BEGUN = "select count(*) from (select priority from jobs order by started_at nulls last, id limit $1) as begun where priority = $2"


async def submit(client: httpx2.AsyncClient, priority: str, jobs: int) -> None:
    """Submit so many, in batches."""
    options = {"options": {"priority": priority, "lane": "default"}}
    items = [SUM | options | {"input": {"values": [each, len(priority)]}} for each in range(jobs)]
    for first in range(0, jobs, BATCH):
        answer = await client.post("/v1/batches", json={"jobs": items[first : first + BATCH]})
        assert answer.status_code == 202, answer.text


async def published(stack: Stack) -> bool:
    """Tell whether RabbitMQ has a message for every job: the keeper publishes what the api gave up."""
    return not await stack.count("select count(*) from outbox")


async def enough_finished(stack: Stack, jobs: int) -> bool:
    """Tell whether so many have."""
    return await stack.count("select count(*) from jobs where finished_at is not null") >= jobs


@pytest.mark.parametrize(("slots", "ids", "jobs"), [(1, 1, 600), (4, 1, 600), (128, 64, 3_000)])
async def test_weights_hold_however_few_slots_a_lane_has(
    slots: int, ids: int, jobs: int, servers: Servers, tmp_path: Path
) -> None:
    """What begins counts by messages, so that there are enough jobs for some thirty of `normal` and of `low`."""
    looked_at = int(jobs * LOOKED_AT)
    lanes = {
        "default": {"slots": slots, "ids_per_message": ids},
        "heavy": {"slots": 1, "ids_per_message": 1},
    }
    with Stack(servers, tmp_path, lanes=json.dumps(lanes)) as stack:
        await stack.start()
        key = await make_a_key(servers, "acme", ["submit", "read", "operate"])
        async with stack.client(key) as client:
            lane = "/v1/lanes/default"
            (await client.post(f"{lane}/pause", json={"reason": "both are to wait"})).raise_for_status()
            await asyncio.gather(*(submit(client, each, jobs) for each in ("low", "normal")))
            await until_found(lambda: published(stack))
            (await client.post(f"{lane}/resume")).raise_for_status()
        await until_found(lambda: enough_finished(stack, looked_at))
        low = await stack.count(BEGUN, looked_at, "low")
    assert looked_at - low >= 0.9 * WEIGHTS["normal"] * low
