"""Jobs in numbers: submit them, wait until they run, replace their consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.fault.claims import check_claims
from tests.support.load import Load
from tests.support.stack import Stack
from tests.support.waiting import until_found

RUNNING = "select count(*) from jobs where state = 'running'"


async def submit(stack: Stack, work: Mapping[str, object], how_many: int) -> list[str]:
    """Submit this work so many times; return the ids of the accepted jobs."""
    async with stack.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/jobs", json=work) for _ in range(how_many)))
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["id"] for answer in answers]


async def until_running(stack: Stack, how_many: int) -> None:
    """Return once at least so many jobs run."""

    async def enough_run() -> bool:
        return await stack.count(RUNNING) >= how_many

    await until_found(enough_run)


async def check_stops_under_load(stack: Stack) -> None:
    """Stop and replace the consumer three times under load: each stop leaves nothing claimed, and every job ends well."""
    load = Load(stack)
    async with load.running(clients=16):
        for _ in range(3):
            await load.more(50)
            assert await asyncio.to_thread(stack.consumers[-1].stop) == 0
            assert await stack.count(RUNNING) == 0
            await stack.add_consumer().ready()
    await load.check()
    assert (await check_claims(stack)).keys() <= {"released"}
