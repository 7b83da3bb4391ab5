"""Runs handlers of every behaviour in the loop and in threads; children have a file of their own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import orjson
import pytest

from consumer.attempt import Attempt
from consumer.running.runner import Runner
from sluice.core.outcome import LeaseLost, Released, TimedOut
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

LOOP_AND_THREAD = pytest.mark.parametrize("handler", [kinds.ends, kinds.in_thread], ids=["loop", "thread"])


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    runner = Runner(["tests.unit.consumer.hostile_kinds"], threads=2, processes=1, grace_s=0.05)
    yield runner
    await runner.close()


async def value_of(run: Awaitable[object]) -> Any:
    """The value in a Reply that a run ended with."""
    output = await run
    assert isinstance(output, bytes), output
    return orjson.loads(output)["value"]


async def running(runner: Runner, attempt: Attempt) -> asyncio.Task[Any]:
    """A run that has begun."""
    task = asyncio.create_task(runner.run(attempt))
    await until(lambda: attempt.on_stop is not None and not attempt.waiting)
    return task


async def test_returns_the_output_as_json(runner: Runner) -> None:
    assert await runner.run(an_attempt(kinds.echo, {"number": 5})) == b'{"value":5}'


async def test_gives_a_handler_its_context(runner: Runner) -> None:
    attempt = an_attempt(kinds.talk, fence=7, attempt=3)
    assert await value_of(runner.run(attempt)) == [attempt.job.id, 3, 7, False]
    assert attempt.progress == b'{"percent":40.0,"note":"on the way"}'


async def test_runs_a_plain_function_in_a_thread(runner: Runner) -> None:
    assert (await value_of(runner.run(an_attempt(kinds.in_thread)))).startswith("handler-")


@LOOP_AND_THREAD
@pytest.mark.parametrize(
    ("how", "ending", "words"),
    [
        ("error", LookupError, "nothing there"),
        ("stubborn", kinds.Stubborn, "stubborn"),
        ("give up", GiveUp, "no use"),
        ("later", RetryLater, "busy"),
        ("exit", SystemExit, "3"),
        ("generator", GeneratorExit, "mine"),
        ("interrupt", KeyboardInterrupt, "mine"),
        ("cancelled", asyncio.CancelledError, ""),
        ("nan", BadOutput, "NaN"),
        ("large", BadOutput, "10000012 bytes"),
        ("none", BadOutput, "NoneType"),
    ],
)
async def test_returns_whatever_ended_the_attempt(
    runner: Runner, handler: Any, how: str, ending: type[BaseException], words: str
) -> None:
    ended = await runner.run(an_attempt(handler, {"how": how}))
    assert type(ended) is ending
    assert words in str(ended)


@LOOP_AND_THREAD
async def test_a_dict_that_fits_the_output_is_as_good_as_the_output(runner: Runner, handler: Any) -> None:
    assert await value_of(runner.run(an_attempt(handler, {"how": "dict"}))) == 5


@LOOP_AND_THREAD
async def test_refuses_a_stored_input_that_does_not_fit_the_kind(runner: Runner, handler: Any) -> None:
    ended = await runner.run(an_attempt(handler, {"number": "many"}))
    assert isinstance(ended, BadInput)
    assert str(ended).startswith("/number: ")
    assert "many" not in str(ended)


@pytest.mark.parametrize("handler", [kinds.nap, kinds.swallow, kinds.in_thread])
async def test_work_that_takes_too_long_has_timed_out(runner: Runner, handler: Any) -> None:
    ended = await runner.run(an_attempt(handler, {"seconds": 60, "how": "return"}, timeout_s=0.02))
    assert isinstance(ended, TimedOut)
    assert str(ended) == "The time limit of 0.02 s was reached."
    assert runner.runaways == 0


@pytest.mark.parametrize("handler", [kinds.nap, kinds.in_thread, kinds.in_process])
async def test_work_that_ended_in_time_has_not_timed_out_because_another_blocked_the_loop(
    runner: Runner, handler: Any
) -> None:
    attempt = an_attempt(handler, {"seconds": 0.1}, timeout_s=0.4)
    run = await running(runner, attempt)
    blocked = asyncio.create_task(runner.run(an_attempt(kinds.block, {"seconds": 0.9})))
    assert isinstance(await run, bytes)
    assert isinstance(await blocked, bytes)


@pytest.mark.parametrize("handler", [kinds.nap, kinds.in_thread, kinds.in_process])
async def test_work_that_goes_on_after_another_blocked_the_loop_times_out_all_the_same(
    runner: Runner, handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.running.time_limit.SPARE_S", 0.05)
    attempt = an_attempt(handler, {"seconds": 60}, timeout_s=0.3)
    run = await running(runner, attempt)
    blocked = asyncio.create_task(runner.run(an_attempt(kinds.block, {"seconds": 0.7})))
    assert isinstance(await run, TimedOut)
    await blocked


@pytest.mark.parametrize("handler", [kinds.nap, kinds.swallow, kinds.in_thread])
async def test_work_that_is_stopped_ends_with_the_reason(runner: Runner, handler: Any) -> None:
    attempt = an_attempt(handler, {"seconds": 60})
    run = await running(runner, attempt)
    attempt.stop(Released("cancelled"))
    attempt.stop(TimedOut("later"))
    assert str(await run) == "cancelled"
    assert runner.runaways == 0


@pytest.mark.parametrize("handler", [kinds.echo, kinds.in_thread, kinds.in_process])
async def test_an_attempt_that_was_stopped_before_it_ran_does_not_run(runner: Runner, handler: Any) -> None:
    attempt = an_attempt(handler, {"seconds": 60})
    attempt.stop(LeaseLost())
    assert isinstance(await runner.run(attempt), LeaseLost)


async def test_an_attempt_that_is_stopped_before_its_first_step_ends_at_once() -> None:
    patient = Runner(["tests.unit.consumer.hostile_kinds"], threads=1, processes=1, grace_s=3_600)
    attempt = an_attempt(kinds.ends)
    run = asyncio.create_task(patient.run(attempt))
    await asyncio.sleep(0)  # the handler has a task now, which has not begun
    attempt.stop(Released("cancelled"))
    assert await run is attempt.stopped
    await patient.close()


async def test_stopping_after_the_end_changes_nothing(runner: Runner) -> None:
    attempt = an_attempt(kinds.echo)
    ended = await runner.run(attempt)
    attempt.stop(Released())
    await asyncio.sleep(0)
    assert isinstance(ended, bytes)


async def test_a_task_that_ran_a_timed_out_handler_can_go_on(runner: Runner) -> None:
    async def two() -> list[object]:
        first = await runner.run(an_attempt(kinds.swallow, timeout_s=0.01))
        second = await runner.run(an_attempt(kinds.nap, {"seconds": 0.001}))
        task = asyncio.current_task()
        return [type(first), second, task and task.cancelling()]

    assert await asyncio.create_task(two()) == [TimedOut, b'{"value":"slept"}', 0]


async def test_a_handler_that_cannot_be_closed_is_left_alone_and_counted(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    ended = await runner.run(an_attempt(kinds.deaf, timeout_s=0.01))
    assert isinstance(ended, TimedOut)
    assert runner.runaways == 1
    assert "refuse to end" in caplog.text
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    kinds.DEAF.clear()  # else the collector of garbage complains of it, too


async def test_a_handler_that_cancels_its_own_task_cancels_nothing_else(runner: Runner) -> None:
    assert isinstance(await runner.run(an_attempt(kinds.self_cancelling)), asyncio.CancelledError)
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_the_callers_cancellation_is_raised(runner: Runner) -> None:
    for handler in (kinds.nap, kinds.in_thread):
        attempt = an_attempt(handler, {"seconds": 60})
        run = await running(runner, attempt)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert attempt.on_stop is None


async def test_the_callers_cancellation_is_raised_even_where_the_work_was_stopped_too(runner: Runner) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 60})
    run = await running(runner, attempt)
    attempt.stop(Released())
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """Set, threads end that ignore their time limit."""
    kinds.LET_GO.clear()
    yield kinds.LET_GO
    kinds.LET_GO.set()


async def ran_past(runner: Runner) -> list[object]:
    """How two runs ended that ignored their time limit; their threads are still at it."""
    for_ever = {"seconds": 600, "how": "ignore"}
    runs = [runner.run(an_attempt(kinds.in_thread, for_ever, timeout_s=0.3)) for _ in range(2)]
    return [type(end) for end in await asyncio.gather(*runs)]


async def test_a_thread_that_ignores_its_time_limit_does_not_cost_its_place(
    runner: Runner, let_go: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    assert await ran_past(runner) == [TimedOut, TimedOut]
    assert runner.runaways == 2
    assert "2 of 2 threads ran past" in caplog.text
    assert (await value_of(runner.run(an_attempt(kinds.in_thread)))).startswith("handler-")
    let_go.set()
    await until(lambda: not runner.runaways)


async def test_work_that_finds_no_thread_in_time_is_not_started(
    runner: Runner, let_go: threading.Event
) -> None:
    await ran_past(runner)
    await ran_past(runner)
    assert runner.runaways == 4
    assert isinstance(await runner.run(an_attempt(kinds.in_thread, timeout_s=0.05)), TimedOut)
    let_go.set()
    await until(lambda: not runner.runaways)
    assert isinstance(await runner.run(an_attempt(kinds.in_thread)), bytes)


async def test_a_closed_coroutine_closes_the_handler(runner: Runner) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 60})

    ended: list[object] = []

    async def flow() -> None:
        ended.append(await runner.run(attempt))

    async def enter() -> None:
        run = flow()
        run.send(None)
        run.close()

    await asyncio.create_task(enter())
    assert attempt.on_stop is None
    assert ended == [], "the flow went on"


async def test_a_thousand_jobs_at_once_end_well(runner: Runner) -> None:
    jobs = [an_attempt(kinds.echo, {"number": number}) for number in range(1000)]
    values = await asyncio.gather(*(value_of(runner.run(job)) for job in jobs))
    assert values == list(range(1000))
