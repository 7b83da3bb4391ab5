"""Waiting for what happens in another process; the time limit of the test is the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PAUSE_S = 0.005


async def until(true: Callable[[], object]) -> None:
    """Return once it is true."""
    while not true():  # noqa: ASYNC110  no event of this loop can be set there
        await asyncio.sleep(PAUSE_S)


async def until_found(look: Callable[[], Awaitable[object]]) -> None:
    """Return once a look into another process finds something."""
    while not await look():  # noqa: ASYNC110  no event of this loop can be set there
        await asyncio.sleep(PAUSE_S)
