"""Waiting for what another thread or process does."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object]) -> None:
    """Return once it is true; the time limit of the test is the deadline."""
    while not true():  # noqa: ASYNC110  it happens where no event of this loop can be set
        await asyncio.sleep(0.002)
