"""Background tasks: held, repeated, and cancelled, even those that lose the first cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from sluice.core.runtime.tasks import TaskSet, cancel_and_wait, repeat


async def started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start the work, and return its task once it is under way."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def losing_cancellations(times: int) -> None:
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


async def test_every_task_has_ended_afterwards_even_one_that_lost_its_cancellation() -> None:
    tasks = [await started(losing_cancellations(times)) for times in (0, 1, 3)]
    try:
        async with asyncio.timeout(10):
            await cancel_and_wait(tasks, again_s=0.01)
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
        await cancel_and_wait([task], again_s=0.01)
    assert task.cancelled()


async def test_how_a_task_ended_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    done = await started(asyncio.sleep(0))
    await done
    await cancel_and_wait([await started(failing()), done])
    await cancel_and_wait([])
    assert caplog.records == []


async def test_a_set_holds_its_tasks_until_they_have_ended() -> None:
    tasks: TaskSet[int] = TaskSet()
    gate = asyncio.Event()

    async def wait() -> int:
        await gate.wait()
        return 7

    task = tasks.start(wait(), "waiter")
    assert (len(tasks), list(tasks), task.get_name()) == (1, [task], "waiter")
    gate.set()
    assert await task == 7
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_drain_waits_for_what_is_started_meanwhile_too() -> None:
    tasks: TaskSet[None] = TaskSet()
    done: list[str] = []

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.start(second(), "second")

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    tasks.start(first(), "first")
    await tasks.drain()
    assert done == ["second"]


async def test_a_set_can_be_cancelled() -> None:
    tasks: TaskSet[None] = TaskSet()
    task = tasks.start(asyncio.sleep(60), "sleeper")
    await tasks.cancel()
    assert task.cancelled()


@pytest.mark.parametrize("pause", [0.0, lambda: 0.0], ids=["a number", "a call"])
async def test_what_is_repeated_goes_on_until_it_raises(pause: Callable[[], float] | float) -> None:
    left = [1, 2, 3]

    async def act() -> None:
        left.pop()

    with pytest.raises(IndexError):
        await repeat(act, pause)
    assert left == []
