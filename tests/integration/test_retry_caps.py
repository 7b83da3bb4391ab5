"""Retries while as many jobs of a tenant wait as may, through real processes: one is refused, a bulk act waits and goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from infra.local.servers import Servers
from tests.support.job_client import SUM
from tests.support.stack import Stack, make_a_key
from tests.support.waiting import until_found

MOST = 20
FAILED = """
insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, keep_s, queued_at, finished_at, expires_at, error, fence, attempt, version)
select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'owner', 'demo.sum', 'default', 'normal', 'failed', '{"values":[1]}', 1, 86400, now(), now(),
       now() + interval '1 day', '{"type":"handler-error"}', 1, 1, 3
from generate_series(1, 5) as n"""
ONE = "/v1/jobs/01900000-0000-7000-8000-000000000001/retry"


async def act_of(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(url)).json()
    return found


async def test_a_bulk_act_waits_for_room_and_says_so(servers: Servers, tmp_path: Path) -> None:
    with Stack(servers, tmp_path, tenant_backlog=str(MOST)) as stack:
        await stack.start()
        async with stack.sql() as record:
            await record.execute(FAILED)
        key = await make_a_key(stack.servers, "owner", ["submit", "read", "payloads", "admin", "operate"])
        async with stack.client(key) as client:
            paused = await client.post("/v1/lanes/default/pause", json={"reason": "to let jobs wait"})
            assert paused.status_code == 200, paused.text
            for _ in range(MOST):
                assert (await client.post("/v1/jobs", json=SUM)).status_code == 202

            async def is_full() -> bool:
                return (await client.post("/v1/jobs", json=SUM)).status_code == 429

            await until_found(is_full)
            refused = await client.post(ONE)
            assert (refused.status_code, refused.json()["type"]) == (429, "tenant-backlog-full")
            wanted = {"act": "retry", "filter": {"kind": "demo.sum"}, "dry_run": False}
            url = (await client.post("/v1/bulk", json=wanted)).json()["links"]["self"]

            async def waits() -> bool:
                return bool((await act_of(client, url))["reason"] == "tenant-backlog-full")

            await until_found(waits)
            before = (await act_of(client, url))["changed"]
            await asyncio.sleep(2)
            act = await act_of(client, url)
            assert (act["state"], act["changed"]) == ("running", before)
            assert (await client.post("/v1/lanes/default/resume")).status_code == 200

            async def has_finished() -> bool:
                return bool((await act_of(client, url))["state"] == "finished")

            await until_found(has_finished)
            made = "select count(*) from jobs where retry_of is not null"
            assert await stack.count(made) == 5
            assert (await act_of(client, url))["reason"] is None
