"""`/scaling` of a running stack: a backlog makes it want more consumers, and its end fewer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from infra.local.servers import Servers
from tests.support.job_client import KINDS, JobClient
from tests.support.stack import Stack
from tests.support.waiting import until_found

LANES = '{"default":{"slots":2,"ids_per_message":2},"heavy":{"slots":1,"ids_per_message":1}}'


async def test_a_backlog_wants_more_consumers_and_its_end_fewer(servers: Servers, tmp_path: Path) -> None:
    with Stack(servers, tmp_path, lanes=LANES, handlers=KINDS) as stack:
        await stack.start(consumers=0)
        async with stack.client() as client, httpx2.AsyncClient(base_url=stack.apis[0].private_url) as scaler:

            async def wants(**expected: float) -> bool:
                answer = await scaler.get("/scaling", params={"lanes": "default", "wait_target_s": "0.001"})
                found: dict[str, Any] = answer.json()
                return answer.status_code == 200 and expected.items() <= found.items()

            await until_found(lambda: wants(wanted=0, consumers=0))
            work = JobClient(client, "own.loop", tmp_path)
            urls = [(await work.submit())["links"]["self"] for _ in range(10)]
            await until_found(lambda: wants(queued=10, running=0, wanted=5))  # with nobody there to count it
            for _ in range(2):
                stack.add_consumer()
            await asyncio.gather(*(each.ready() for each in stack.consumers))
            await until_found(lambda: wants(queued=6, running=4, consumers=2, slots=4, wanted=5))
            work.gate.touch()
            await until_found(lambda: wants(queued=0, running=0, wanted=0, oldest_s=0))
            assert await stack.finished([url.rpartition("/")[2] for url in urls])
            wrong = await scaler.get("/scaling?lanes=light")
            assert (wrong.status_code, wrong.json()["lanes"]) == (400, ["default", "heavy"])
