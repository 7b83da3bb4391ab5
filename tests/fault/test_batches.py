"""What dies in the middle of a batch loses none of its jobs, and doubles none: the request is repeated with its key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2
import orjson

from tests.fault.claims import check_claims
from tests.support.stack import Process, Stack
from tests.support.waiting import until_found

PATH = "/v1/batches"
ITEMS = 3_000
KEY = {"content-type": "application/x-ndjson", "idempotency-key": "again"}
LINES = [orjson.dumps({"kind": "demo.sum", "input": {"values": [number]}}) + b"\n" for number in range(ITEMS)]


async def slowly() -> AsyncIterator[bytes]:
    """The body of a client that has time."""
    for begin in range(0, ITEMS, 20):
        yield b"".join(LINES[begin : begin + 20])
        await asyncio.sleep(0.01)


async def send(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await client.post(PATH, content=slowly(), headers=KEY, timeout=60)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def has_begun(stack: Stack) -> bool:
    return await stack.count("select count(*) from jobs") > ITEMS // 10


async def check(stack: Stack, client: httpx2.AsyncClient, batch: dict[str, Any]) -> None:
    """Every item has a job of its own, which ends, and nothing else is in the record."""
    assert batch["counts"]["refused"] == 0
    assert await stack.count("select count(*) from jobs") == ITEMS
    assert await stack.count("select count(*) from batches") == 1
    rows = await stack.finished(item["job"]["id"] for item in batch["items"])
    assert len(rows) == ITEMS
    found = (await client.get(batch["links"]["self"])).json()
    assert (found["state"], found["counts"]["succeeded"]) == ("finished", ITEMS)
    await check_claims(stack)


async def restart(process: Process) -> None:
    process.kill()
    process.start()
    await process.ready()


async def test_an_api_that_is_killed_in_the_middle_goes_on_where_it_was(bare_stack: Stack) -> None:
    await bare_stack.start()
    async with bare_stack.client() as client:
        sending = asyncio.create_task(send(client))
        await until_found(lambda: has_begun(bare_stack))
        await restart(bare_stack.apis[0])
        with suppress(httpx2.TransportError):
            await sending
        assert await bare_stack.count("select count(*) from jobs") < ITEMS
        await check(bare_stack, client, await send(client))


async def test_a_record_that_is_killed_in_the_middle_loses_nothing_that_was_accepted(
    bare_stack: Stack,
) -> None:
    await bare_stack.start()
    async with bare_stack.client() as client:
        sending = asyncio.create_task(send(client))
        await until_found(lambda: has_begun(bare_stack))
        bare_stack.servers.postgres.kill()
        await asyncio.sleep(0.1)
        bare_stack.servers.up(bare_stack.servers.postgres)
        first = await sending
        refused = [item["problem"]["type"] for item in first["items"] if "problem" in item]
        assert set(refused) <= {"record-away", "outcome-unknown", "overloaded"}
        assert len(refused) == first["counts"]["refused"] > 0
        again = await send(client)
        accepted = {item["index"]: item["job"]["id"] for item in first["items"] if "job" in item}
        assert accepted == {index: again["items"][index]["job"]["id"] for index in accepted}
        assert again["id"] == first["id"]
        await check(bare_stack, client, again)
