"""Batches over real processes: every job of one is worked off and counted, with all servers and without some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.stack import Stack, make_a_key

PATH = "/v1/batches"
WRONG = {"kind": "demo.sum", "input": {"values": ["x"]}}
LINES = {"content-type": "application/x-ndjson"}


def sums(count: int) -> list[dict[str, Any]]:
    return [{"kind": "demo.sum", "input": {"values": [number]}} for number in range(count)]


async def submitted(client: httpx2.AsyncClient, *items: Any, **more: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"jobs": items} | more)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def until_finished(client: httpx2.AsyncClient, batch: dict[str, Any]) -> dict[str, int]:
    """The counts that are not 0, once nothing is unfinished."""
    found = batch
    while found["state"] != "finished":
        found = (await client.get(batch["links"]["self"], params={"wait": "20"})).json()
    return {name: count for name, count in found["counts"].items() if count}


@pytest.mark.parametrize("redis", [True, False], ids=["with Redis", "without Redis"])
async def test_every_job_is_worked_off(bare_stack: Stack, servers: Servers, redis: bool) -> None:
    await bare_stack.start()
    async with bare_stack.client() as client:
        if not redis:
            servers.redis.kill()
        loose, whole = await asyncio.gather(
            submitted(client, *sums(60), WRONG), submitted(client, *sums(60), atomic=True)
        )
        assert await until_finished(client, loose) == {"succeeded": 60, "refused": 1}
        assert await until_finished(client, whole) == {"succeeded": 60}
        for number, item in enumerate(whole["items"]):
            job = (await client.get(item["job"]["links"]["self"])).json()
            assert job["result"]["total"] == number


async def test_a_wait_ends_with_the_last_job_and_not_with_its_time(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        batch = await submitted(client, *sums(3))
        waiting = asyncio.create_task(client.get(batch["links"]["self"], params={"wait": "50"}))
        await bare_stack.apis[0].until_metric("sluice_waiting_requests", 1)
        first, *others = (item["job"]["links"]["self"] for item in batch["items"])
        assert (await client.post(f"{first}/cancel")).status_code == 200
        await bare_stack.apis[0].until_metric("sluice_waiting_requests", 1)
        for each in others:
            await client.post(f"{each}/cancel")
        found = (await asyncio.wait_for(waiting, 20)).json()
        assert (found["state"], found["counts"]["cancelled"]) == ("finished", 3)


async def test_without_rabbitmq_a_batch_is_accepted_and_worked_off(
    bare_stack: Stack, servers: Servers
) -> None:
    await bare_stack.start()
    async with bare_stack.client() as client:
        servers.rabbitmq.kill()
        batch = await submitted(client, *sums(40))
        assert batch["counts"]["queued"] == 40
        assert await until_finished(client, batch) == {"succeeded": 40}


async def test_lines_are_taken_as_they_come(bare_stack: Stack) -> None:
    await bare_stack.start()
    items = sums(10_000)

    async def body() -> AsyncIterator[bytes]:
        for begin in range(0, len(items), 700):
            yield b"".join(orjson.dumps(each) + b"\n" for each in items[begin : begin + 700])
            assert (await bare_stack.apis[0].metrics())["sluice_held_body_bytes"] < 400_000

    async with bare_stack.client() as client:
        answer = await client.post(PATH, content=body(), headers=LINES)
        batch = answer.json()
        assert (answer.status_code, batch["total"], batch["counts"]["refused"]) == (202, 10_000, 0)
        assert len({item["job"]["id"] for item in batch["items"]}) == 10_000
        assert await bare_stack.count("select count(*) from jobs") == 10_000
        found = (await client.get(batch["links"]["self"])).json()
        assert sum(found["counts"].values()) == found["total"] == 10_000
        assert (await bare_stack.apis[0].metrics())["sluice_held_body_bytes"] == 0


async def test_results_come_as_they_finish(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        batch = await submitted(client, *sums(30))
        lines = list[dict[str, Any]]()
        async with client.stream("GET", batch["links"]["results"], params={"wait": "50"}) as answer:
            consumer = bare_stack.add_consumer()
            async for line in answer.aiter_lines():
                lines.append(orjson.loads(line))
        await consumer.ready()
        assert {job["id"] for job in lines} == {item["job"]["id"] for item in batch["items"]}
        assert sorted(job["result"]["total"] for job in lines) == list(range(30))


async def test_a_client_that_leaves_its_results_is_let_go(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        batch = await submitted(client, *sums(3))
        async with client.stream("GET", batch["links"]["results"], params={"wait": "50"}) as answer:
            assert answer.status_code == 200
            await bare_stack.apis[0].until_metric("sluice_waiting_requests", 1)
        await bare_stack.apis[0].until_metric("sluice_waiting_requests", 0)


async def test_batches_of_others_are_like_those_of_nobody(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    key = await make_a_key(bare_stack.servers, "other", ["submit", "read"])
    async with bare_stack.client() as client, bare_stack.client(key) as other:
        batch = await submitted(client, *sums(2))
        answer = await other.get(batch["links"]["self"], params={"wait": "20"})
        assert (answer.status_code, answer.json()["type"]) == (404, "batch-unknown")
        mine = await submitted(other, *sums(2))
        assert (await other.get(mine["links"]["self"])).json()["counts"]["queued"] == 2
