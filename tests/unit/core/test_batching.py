"""Batches that form by themselves."""

from __future__ import annotations

import asyncio

import pytest

from core.batching import Batcher
from core.errors import ServerAway


async def test_a_caller_may_put_again_as_soon_as_it_was_answered() -> None:
    async def double(items: list[int]) -> list[int]:
        return [2 * item for item in items]

    batcher: Batcher[int, int] = Batcher("double", double)

    async def twice() -> int:
        return await batcher.put(await batcher.put(1))

    assert await asyncio.wait_for(twice(), 1) == 4


async def test_a_caller_may_put_again_as_soon_as_it_was_failed() -> None:
    async def fail(items: list[int]) -> list[int]:
        raise ServerAway("redis")

    batcher: Batcher[int, int] = Batcher("fail", fail)
    for _ in range(3):
        with pytest.raises(ServerAway):
            await asyncio.wait_for(batcher.put(1), 1)
