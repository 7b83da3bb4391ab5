"""A tenant floods a lane with a hundred times the jobs of another, on real servers: the other hardly waits longer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import SUM
from tests.support.stack import Stack, make_a_key

JOBS, FLOOD, BATCH = 150, 15_000, 1_000
LANES = '{"default":{"slots":16,"ids_per_message":4},"heavy":{"slots":1,"ids_per_message":1}}'
BEGUN = "select count(*) from jobs where started_at <= (select max(started_at) from jobs where id = any($1::uuid[]))"


async def submit(client: httpx2.AsyncClient, jobs: int) -> list[dict[str, Any]]:
    """Submit so many jobs as batches; return the document of each."""
    documents: list[dict[str, Any]] = []
    for start in range(0, jobs, BATCH):
        items = [SUM | {"input": {"values": [start, each]}} for each in range(min(BATCH, jobs - start))]
        answer = await client.post("/v1/batches", json={"jobs": items})
        assert answer.status_code == 202, answer.text
        documents += [item["job"] for item in answer.json()["items"]]
    return documents


@pytest.mark.parametrize("way", ["by messages", "by polls"])
async def test_a_flood_of_one_tenant_keeps_another_waiting_for_hardly_longer(
    way: str, servers: Servers, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, lanes=LANES) as stack:
        if way == "by polls":
            stack.environment["SLUICE_RABBITMQ_URL"] = ""
        await stack.start(consumers=0)
        large, small = [
            await make_a_key(servers, tenant, ["submit", "read"]) for tenant in ("large", "small")
        ]
        async with stack.client(large) as flood, stack.client(small) as other:
            own = await submit(other, 1)
            over = await submit(flood, FLOOD)
            own += await submit(other, JOBS - 1)
            shown = (await flood.get(f"/v1/jobs/{over[-1]['id']}")).json()
            assert shown["priority"] == "overflow"
            stack.add_consumer()
            await stack.consumers[0].ready()
            ids = [each["id"] for each in own]
            done = await asyncio.wait_for(stack.finished(ids), 60)
            assert {each["state"] for each in done.values()} == {"succeeded"}
            explained = (await flood.get(f"/v1/jobs/{over[-1]['id']}/explain")).json()
            assert explained["reason"] == "over-share", explained
            assert (await other.get(f"/v1/jobs/{own[-1]['id']}")).json()["priority"] == "normal"
        begun = await stack.count(BEGUN, ids)
        assert begun <= 1.5 * JOBS, "alone it would have been as many as it has"
