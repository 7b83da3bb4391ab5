"""Waiting for what happens in another process; the time limit of the test is the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import httpx2

PAUSE_S = 0.005
BLOCKED_S = 0.3


async def until(true: Callable[[], object], within_s: float | None = None) -> None:
    """Return once the condition holds. Raises TimeoutError after so many seconds, if given."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  no event of this loop can be set there
            await asyncio.sleep(PAUSE_S)


async def until_found(look: Callable[[], Awaitable[object]]) -> None:
    """Return once a look into another process finds something."""
    while not await look():  # noqa: ASYNC110  no event of this loop can be set there
        await asyncio.sleep(PAUSE_S)


async def answers(client: httpx2.AsyncClient, url: str, *statuses: int) -> bool:
    """Tell whether a GET is answered, with one of these statuses if any is given."""
    try:
        status = (await client.get(url)).status_code
    except httpx2.TransportError:
        return False
    return not statuses or status in statuses


class Stopwatch:
    """Seconds as the loop of a test has lived them, for upper limits: a busy machine makes it run slow, never fast.

    A loop that woke up late has waited for a processor, which is not counted; one that was late by more than `BLOCKED_S`
    was blocked by what it runs, and that is.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Stopwatch]:
        """Run the stopwatch for the block."""
        watch = cls()
        ticking = asyncio.create_task(watch._tick())
        try:
            yield watch
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        while True:
            began = monotonic()
            await asyncio.sleep(PAUSE_S)
            late = monotonic() - began - PAUSE_S
            self.seconds += PAUSE_S + (late if late > BLOCKED_S else 0)
