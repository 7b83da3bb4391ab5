"""Background tasks cancel_and_wait when they are told, also those that do not hear it the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from sluice.core.runtime import tasks as ending
from sluice.core.runtime.tasks import cancel_and_wait


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN_S", 0.01)


async def started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """The work once it is under way."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def deaf(times: int) -> None:
    """Lose so many cancellations."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("while it ended")


async def test_every_task_has_ended_afterwards_also_one_that_lost_what_it_was_told() -> None:
    tasks = [await started(deaf(times)) for times in (0, 1, 3)]
    try:
        async with asyncio.timeout(10):
            await cancel_and_wait(tasks)
        assert all(task.cancelled() for task in tasks)
    finally:
        for _ in range(4):  # else the loop of this test would wait for them
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)


async def test_a_cancellation_that_wait_for_loses_is_sent_again() -> None:
    written = asyncio.Event()

    async def write() -> None:
        await written.wait()

    async def writing() -> None:
        await asyncio.wait_for(write(), 10)
        await asyncio.Event().wait()

    task = await started(writing())
    await asyncio.sleep(0)
    written.set()
    await asyncio.sleep(0)  # what is written is written, and the task is not yet told
    async with asyncio.timeout(10):
        await cancel_and_wait([task])
    assert task.cancelled()


async def test_how_a_task_ended_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    done = await started(asyncio.sleep(0))
    await done
    await cancel_and_wait([await started(failing()), done])
    await cancel_and_wait([])
    assert caplog.records == []
