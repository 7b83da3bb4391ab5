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

JOBS, LOOKED_AT = 600, 400
"""Of each priority; and how many of both are looked at, so that neither has run out."""
BEGUN = "select count(*) from (select priority from jobs order by started_at nulls last, id limit $1) as begun where priority = $2"


async def submit(client: httpx2.AsyncClient, priority: str) -> None:
    """Submit them as a batch."""
    options = {"options": {"priority": priority, "lane": "default"}}
    items = [SUM | options | {"input": {"values": [each, len(priority)]}} for each in range(JOBS)]
    answer = await client.post("/v1/batches", json={"jobs": items})
    assert answer.status_code == 202, answer.text


async def published(stack: Stack) -> bool:
    """Tell whether RabbitMQ has a message for every job: the keeper publishes what the api gave up."""
    return not await stack.count("select count(*) from outbox")


async def enough_finished(stack: Stack) -> bool:
    """Tell whether those that are looked at have."""
    return await stack.count("select count(*) from jobs where finished_at is not null") >= LOOKED_AT


@pytest.mark.parametrize(("slots", "ids"), [(1, 1), (4, 1), (128, 64)])
async def test_weights_hold_however_few_slots_a_lane_has(
    slots: int, ids: int, servers: Servers, tmp_path: Path
) -> None:
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
            await asyncio.gather(*(submit(client, each) for each in ("low", "normal")))
            await until_found(lambda: published(stack))
            (await client.post(f"{lane}/resume")).raise_for_status()
        await until_found(lambda: enough_finished(stack))
        low = await stack.count(BEGUN, LOOKED_AT, "low")
    assert LOOKED_AT - low >= 0.9 * WEIGHTS["normal"] * low
