"""What `make demo` sends makes jobs of every kind and ending, and leaves no lane paused."""

from __future__ import annotations

import asyncio

from infra.local import demo
from tests.support.stack import Stack
from tests.support.waiting import until_found

SECONDS = 3.0


async def test_the_demo_shows_failures_and_a_lane_that_is_paused_until_its_end(stack: Stack) -> None:
    said: list[str] = []
    async with stack.client() as client:

        async def is_paused() -> bool:
            lanes = (await client.get("/v1/lanes")).json()["lanes"]
            return any(each["name"] == demo.PAUSED and each["paused"] for each in lanes)

        running = asyncio.create_task(demo.run(stack.url, stack.key, [], SECONDS, said.append))
        await until_found(is_paused)
        counts = await running
        assert not await is_paused()
        assert counts["submitted"] > 0
        assert counts["refused"] == 0
        assert said
