"""The end of background tasks: they are told until they have heard it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.5
"""Seconds for a task to clean up before it is told again."""


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these and return when all have ended, however they did.

    Once is not enough: `asyncio.wait_for` of Python 3.11, with which redis-py writes, loses a cancellation that comes in
    the moment in which its work is done, and the task would go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen, or asyncio complains that nobody looked
