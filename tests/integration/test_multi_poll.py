"""Polls of many jobs, over real processes: each change is seen once, with Redis and without, and tenants see their own jobs alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import SUM
from tests.support.make_jobs import aged_id
from tests.support.stack import Stack, make_a_key

PATH = "/v1/jobs/poll"
FINISHED = {"succeeded", "failed", "cancelled"}


async def submitted(client: httpx2.AsyncClient, count: int, **body: Any) -> dict[str, int]:
    """So many jobs, with the version that their client knows."""
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=SUM | body) for _ in range(count)))
    assert {each.status_code for each in answers} == {202}
    return {each.json()["id"]: each.json()["version"] for each in answers}


async def ask(client: httpx2.AsyncClient, known: dict[str, int], **more: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"jobs": known} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_all_finished(client: httpx2.AsyncClient, known: dict[str, int]) -> dict[str, str]:
    """The last state of each job; every answer brings something that was not known."""
    left, states = dict(known), {}
    while left:
        found = await ask(client, left, wait=20)
        assert found["jobs"]
        assert found["unfinished"] == len(left) - sum(job["state"] in FINISHED for job in found["jobs"])
        for job in found["jobs"]:
            assert job["version"] > left[job["id"]]
            left[job["id"]] = job["version"]
            if job["state"] in FINISHED:
                states[job["id"]] = job["state"]
                del left[job["id"]]
    return states


@pytest.mark.parametrize("redis", [True, False], ids=["with Redis", "without Redis"])
async def test_every_job_is_followed_to_its_end(bare_stack: Stack, servers: Servers, redis: bool) -> None:
    await bare_stack.start()
    async with bare_stack.client() as client:
        if not redis:
            servers.redis.kill()
        known = await submitted(client, 40)
        assert await until_all_finished(client, known) == dict.fromkeys(known, "succeeded")
        again = await ask(client, dict.fromkeys(known, 0))
        assert {job["result"]["total"] for job in again["jobs"]} == {6}
        assert (len(again["jobs"]), again["unfinished"]) == (40, 0)


async def test_redis_that_dies_while_a_poll_waits_does_not_hold_it_up(
    bare_stack: Stack, servers: Servers
) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        known = await submitted(client, 3)
        waiting = asyncio.create_task(ask(client, known, wait=50))
        await bare_stack.apis[0].until_metric("sluice_waiting_requests", 1)
        servers.redis.kill()
        changed = next(iter(known))
        assert (await client.post(f"/v1/jobs/{changed}/cancel")).status_code == 200
        found = await asyncio.wait_for(waiting, 20)
        assert [(job["id"], job["state"]) for job in found["jobs"]] == [(changed, "cancelled")]
        assert found["unfinished"] == 2


async def test_ids_of_others_and_of_nobody_are_answered_alike(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    key = await make_a_key(bare_stack.servers, "other", ["submit", "read", "payloads"])
    async with bare_stack.client() as client, bare_stack.client(key) as other:
        foreign, mine = await submitted(client, 2), await submitted(other, 2)
        nobody, old = aged_id(0), aged_id(10 * 366 * 86_400)
        found = await ask(other, {nobody: 0, old: 0, **foreign, **mine})
        assert found == {"jobs": [], "unknown": [nobody, old, *foreign], "unfinished": 2, "more": False}
