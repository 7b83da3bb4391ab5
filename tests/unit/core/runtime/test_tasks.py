"""Background tasks: held, repeated, restarted, reported when they fail, and cancelled, even those that lose the first cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from sluice.core.runtime.tasks import TaskSet, cancel_and_wait, repeat, report_failures
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.waiting import until


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


@pytest.fixture
def events() -> Events:
    """What the loop of the test reports."""
    return Events()


async def fail() -> None:
    raise ValueError("oh")


async def test_a_task_that_fails_is_reported_at_once_with_its_name(events: Events) -> None:
    report_failures(Telemetry(events))
    told: list[tuple[str, BaseException]] = []
    tasks: TaskSet[None] = TaskSet(lambda *failure: told.append(failure))
    tasks.start(fail(), "poor")
    await tasks.drain()
    await until(lambda: told)
    (fields,) = events.fields(Event.TASK_FAILED)
    assert (fields["task"], fields["why"]) == ("poor", "ValueError('oh')")
    assert fields["where"].startswith("test_tasks.py:")
    assert [(name, str(error)) for name, error in told] == [("poor", "oh")]


async def test_what_is_cancelled_or_ends_has_not_failed(events: Events) -> None:
    report_failures(Telemetry(events))
    tasks: TaskSet[None] = TaskSet()
    tasks.start(asyncio.sleep(0), "done")
    tasks.start(asyncio.sleep(60), "cancelled")
    await tasks.cancel()
    await asyncio.sleep(0)
    assert events == []


async def test_a_task_that_is_kept_begins_anew_whenever_it_fails(events: Events) -> None:
    report_failures(Telemetry(events))
    tasks: TaskSet[None] = TaskSet()
    runs: list[str] = []

    async def work() -> None:
        runs.append("run")
        if len(runs) < 4:
            raise ValueError("oh")

    await tasks.keep(work, "kept", pause_s=0)
    assert [fields["task"] for fields in events.fields(Event.TASK_FAILED)] == ["kept"] * 3


async def test_a_callback_that_fails_and_a_task_that_nobody_holds_are_reported_too(events: Events) -> None:
    report_failures(Telemetry(events))
    asyncio.get_running_loop().call_soon(lambda: [][0])
    asyncio.get_running_loop().create_task(fail(), name="forgotten")
    await until(lambda: len(events) == 2)
    names = {fields["task"].partition(" <")[0] for fields in events.fields(Event.TASK_FAILED)}
    assert len(names) == 2
    assert "forgotten" in names


async def test_what_is_no_failure_of_a_task_is_only_logged(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    report_failures(Telemetry(events))
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "just so"})
    loop.call_exception_handler(
        {"message": "a driver's", "future": loop.create_future(), "exception": ValueError()}
    )
    loop.call_exception_handler({"message": "raised nowhere", "exception": ValueError()})
    assert [record.message.splitlines()[0] for record in caplog.records] == ["just so", "a driver's"]
    assert [fields["where"] for fields in events.fields(Event.TASK_FAILED)] == [""]
