"""What `make demo` sends makes jobs of every kind and ending, and leaves no lane paused, however it ends."""

from __future__ import annotations

import asyncio
import signal
import sys

import httpx2
import pytest

from infra.local import demo
from tests.support.stack import ROOT, Stack
from tests.support.waiting import until_found

SECONDS = 3.0
ENDLESS = """
import asyncio, sys
from infra.local import demo
asyncio.run(demo.run_until_told(*sys.argv[1:], [], 600, lambda said: None))
"""


async def is_paused(client: httpx2.AsyncClient) -> bool:
    """Whether the lane of the demo is paused."""
    lanes = (await client.get("/v1/lanes")).json()["lanes"]
    return any(each["name"] == demo.PAUSED and each["paused"] for each in lanes)


async def test_the_demo_shows_failures_and_a_lane_that_is_paused_until_its_end(stack: Stack) -> None:
    said: list[str] = []
    async with stack.client() as client:
        running = asyncio.create_task(demo.run(stack.url, stack.key, [], SECONDS, said.append))
        await until_found(lambda: is_paused(client))
        counts = await running
        assert not await is_paused(client)
        assert counts["submitted"] > 0
        assert counts["refused"] == 0
        assert said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_the_demo_leaves_no_lane_paused_when_it_is_ended_before(
    stack: Stack, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENDLESS, stack.url, stack.key, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    async with stack.client() as client:
        try:
            await until_found(lambda: is_paused(client))
            process.send_signal(number)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert not await is_paused(client)
