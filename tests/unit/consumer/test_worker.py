"""A consumer of which a lane breaks stops in good order, so that others take over."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from consumer.worker import Worker


async def test_a_lane_that_fails_stops_the_consumer() -> None:
    worker = Worker(cast(Any, None))

    async def lane() -> None:
        raise RuntimeError("oh")

    worker._lanes.start(lane(), "lane-default")
    await asyncio.wait_for(worker._stop_asked.wait(), 5)
    assert str(worker._broken) == "lane-default has ended: RuntimeError('oh')"
