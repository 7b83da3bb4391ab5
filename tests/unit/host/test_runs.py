"""Runs of one job: what they come to, their time limit, and how they are stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel

from sluice.context import Context
from sluice.core.outcome import ChildDied, Ending, HandlerFailed, Released, TimedOut
from sluice.errors import BadInput, BadOutput
from sluice.handler import AnyHandler, handler
from sluice.host import runs
from sluice.host.current_job import CURRENT, JobRef
from sluice.host.ending import Disturbed, NotBegun
from sluice.host.lag import BEAT_S, Lag
from sluice.host.performing import Reporter, Request
from sluice.host.runs import LoopRun, Run, ThreadRun


class Number(BaseModel):
    """What the kinds of these tests take and return."""

    n: int = 0


Given = Number
GIVEN = b'{"n":1}'
WORD: ContextVar[str] = ContextVar("word", default="unset")


class Endings:
    """How runs end, in order."""

    def __init__(self) -> None:
        self.all: asyncio.Queue[Ending] = asyncio.Queue()

    def __call__(self, _: Run, ending: Ending) -> None:
        self.all.put_nowait(ending)

    async def next(self) -> Ending:
        """Wait for the next."""
        return await self.all.get()


@pytest.fixture
async def endings() -> Endings:
    """Provide an empty list of endings."""
    return Endings()


def request(limit_s: float = 60, given: bytes = GIVEN) -> Request:
    """Make an ordinary request."""
    return Request(7, "job-7", "a.kind", 2, 3, limit_s, given)


def kind(function: Callable[..., Any]) -> AnyHandler:
    """Make a kind of a function."""
    return handler("a.kind")(function)


def loop_run(
    function: Callable[..., Any], endings: Endings, lag: Lag | None = None, **options: Any
) -> LoopRun:
    """Start a coroutine."""
    loop = asyncio.get_running_loop()
    lag = lag or Lag(loop, lambda: False)
    run = LoopRun(request(**options), kind(function), loop, lag, Reporter(lambda _: None), endings)
    run.start()
    return run


def thread_run(
    function: Callable[..., Any],
    endings: Endings,
    submit: Callable[[Callable[[], None]], object] = lambda work: work(),
    clean_up: Callable[[], None] = lambda: None,
    **options: Any,
) -> ThreadRun:
    """Start a plain function, here and now unless `submit` does otherwise."""
    loop = asyncio.get_running_loop()
    common = (
        request(**options), kind(function), loop, Lag(loop, lambda: False), Reporter(lambda _: None), endings
    )  # fmt: skip

    def hand_over(work: Callable[[], None]) -> Future[None]:
        handed: Future[None] = Future()

        def perform() -> None:
            with suppress(Late):
                work()
            handed.set_result(None)

        submit(perform)
        return handed

    run = ThreadRun(hand_over, clean_up, *common)
    run.start()
    return run


class Late(Exception):
    """Raised in a thread from outside."""


def raise_late(*_: object) -> NoReturn:
    raise Late


async def returns(given: Given) -> Number:
    """Return a number."""
    return Number(n=given.n + 1)


async def waits(given: Given) -> Number:
    """Wait for ever."""
    await asyncio.Event().wait()
    return given


async def returns_text(given: Given) -> Number:
    """Return what is no Number."""
    return "text"  # type: ignore[return-value]  # that is the point


async def exits(given: Given) -> Number:
    """End the process, or so it thinks."""
    raise SystemExit(3)


async def gives_up_a_future(given: Given) -> Number:
    """Wait for what somebody cancels."""
    future: asyncio.Future[Number] = asyncio.get_running_loop().create_future()
    future.cancel()
    return await future


@pytest.mark.parametrize(
    ("function", "given", "ending"),
    [
        (returns, GIVEN, bytes),
        (returns, b"[]", BadInput),
        (returns_text, GIVEN, BadOutput),
        (exits, GIVEN, SystemExit),
        (gives_up_a_future, GIVEN, asyncio.CancelledError),
    ],
)
async def test_a_coroutine_ends_with_its_output_or_with_whatever_ended_it(
    endings: Endings, function: Callable[..., Any], given: bytes, ending: type
) -> None:
    loop_run(function, endings, given=given)
    assert isinstance(await endings.next(), ending)


async def test_a_plain_function_ends_the_same_way(endings: Endings) -> None:
    def fails(given: Given) -> Number:
        raise KeyboardInterrupt

    thread_run(lambda_of(Number(n=4)), endings)
    thread_run(fails, endings)
    thread_run(lambda_of("text"), endings)
    assert await endings.next() == b'{"n":4}'
    assert isinstance(await endings.next(), KeyboardInterrupt)
    assert isinstance(await endings.next(), BadOutput)


def lambda_of(value: Any) -> Callable[[Given], Number]:
    """Make a plain function that returns this."""

    def function(given: Given) -> Number:
        return value  # type: ignore[no-any-return]  # wrong ones as well

    return function


async def test_a_handler_gets_a_context_of_its_job(endings: Endings) -> None:
    async def tells(given: Given, context: Context) -> Number:
        assert (context.job_id, context.attempt, context.fence) == ("job-7", 2, 3)
        assert CURRENT.get() == JobRef("job-7", "a.kind", 2)
        return given

    loop_run(tells, endings)
    assert await endings.next() == GIVEN
    assert CURRENT.get() is None


async def test_a_plain_function_has_context_variables_of_its_own(endings: Endings) -> None:
    def sets(given: Given) -> Number:
        assert CURRENT.get() == JobRef("job-7", "a.kind", 2)
        WORD.set("set")
        return given

    thread_run(sets, endings)
    assert await endings.next() == GIVEN
    assert (WORD.get(), CURRENT.get()) == ("unset", None)


async def test_a_time_limit_cancels_a_coroutine(endings: Endings) -> None:
    run = loop_run(waits, endings, limit_s=0.01)
    ending = await endings.next()
    assert isinstance(ending, TimedOut)
    assert str(ending) == "The time limit of 0.01 s was reached."
    assert run.is_stopped()


async def test_a_time_limit_is_told_to_a_plain_function(endings: Endings) -> None:
    def works_until_told(given: Given, context: Context) -> Number:
        while not context.should_stop():
            time.sleep(0.001)
        return given

    with ThreadPoolExecutor(1) as threads:
        thread_run(works_until_told, endings, threads.submit, limit_s=0.01)
        assert isinstance(await endings.next(), TimedOut)


async def test_the_first_reason_to_stop_is_how_it_ended_whatever_the_handler_does(endings: Endings) -> None:
    async def insists(given: Given) -> Number:
        try:
            await asyncio.Event().wait()
        finally:
            return given  # noqa: B012  that is what is tested

    run = loop_run(insists, endings)
    await asyncio.sleep(0)
    run.stop(Released())
    run.stop(TimedOut())
    assert isinstance(await endings.next(), Released)


async def test_a_coroutine_that_is_stopped_before_its_first_step_does_not_begin(endings: Endings) -> None:
    begun = []

    async def begins(given: Given) -> Number:
        begun.append(given)
        return given

    loop_run(begins, endings).stop(Released())
    assert isinstance(await endings.next(), Released)
    await asyncio.sleep(0)
    assert not begun


async def test_one_that_another_cancels_before_it_has_begun_is_disturbed(endings: Endings) -> None:
    loop_run(waits, endings)._task.cancel()
    assert isinstance(await endings.next(), Disturbed)
    assert endings.all.empty()


async def test_a_task_that_others_cancel_was_disturbed(endings: Endings) -> None:
    run = loop_run(waits, endings)
    await asyncio.sleep(0)
    run._task.cancel()
    assert isinstance(await endings.next(), Disturbed)


async def test_time_in_which_others_hold_up_the_loop_does_not_count(endings: Endings) -> None:
    loop = asyncio.get_running_loop()
    answered, lag = loop.create_future(), measured_lag()

    async def is_answered(given: Given) -> Number:
        await answered
        return given

    loop_run(is_answered, endings, lag, limit_s=0.3)
    loop_run(waits, endings, lag, limit_s=0.3)
    await asyncio.sleep(0)
    for _ in range(5):  # in slices, none of which is longer than the limit
        loop.call_soon(time.sleep, 0.1)
        await asyncio.sleep(0)
    loop.call_later(0.001, answered.set_result, None)
    assert await endings.next() == GIVEN
    assert isinstance(await endings.next(), TimedOut)


async def test_time_for_which_a_job_holds_up_others_counts(endings: Endings) -> None:
    lag = measured_lag()
    loop_run(waits, endings, lag, limit_s=0.02).slow = True
    lag._sum_s += 3_600
    assert isinstance(await endings.next(), TimedOut)


async def test_a_lost_beat_is_made_up_for() -> None:
    lag = measured_lag()
    lost = lag._timer
    assert lost is not None
    lost.cancel()
    lag._due -= 4 * BEAT_S
    lag.measure()
    assert lag._timer is not lost
    assert lag.held_up_s > 2 * BEAT_S


async def test_lag_is_not_measured_while_nobody_asks() -> None:
    lag = Lag(asyncio.get_running_loop(), lambda: False)
    lag.measure()
    time.sleep(0.1)  # noqa: ASYNC251  it is what would be measured
    assert (lag._timer, lag.held_up_s) == (None, 0.0)


@pytest.mark.parametrize("ending", [Released(), TimedOut(), ExceptionGroup("", [ChildDied()])])
async def test_endings_that_only_sluice_gives_are_not_taken_from_a_handler(
    endings: Endings, ending: Exception
) -> None:
    async def raises(given: Given) -> Number:
        raise ending

    def raises_in_thread(given: Given) -> Number:
        raise ending

    loop_run(raises, endings)
    assert type(await endings.next()) is HandlerFailed
    thread_run(raises_in_thread, endings)
    assert type(await endings.next()) is HandlerFailed


def measured_lag() -> Lag:
    """Measure how long this loop is held up."""
    lag = Lag(asyncio.get_running_loop(), lambda: True)
    lag.measure()
    return lag


async def test_one_that_has_ended_is_not_timed_out_later(endings: Endings) -> None:
    run = loop_run(returns, endings, limit_s=0.02)
    await endings.next()
    assert run._timer.cancelled()
    assert not run.is_stopped()


async def test_progress_is_not_sent_after_the_end(endings: Endings) -> None:
    run = loop_run(returns, endings)
    assert not run.report.ended
    await endings.next()
    assert run.report.ended


async def test_a_plain_function_is_cleaned_up_after_before_its_end_is_told(endings: Endings) -> None:
    done: list[str] = []
    thread_run(
        lambda_of(Number()), endings, clean_up=lambda: done.append(f"cleaned up, {endings.all.qsize()} told")
    )
    await endings.next()
    assert done == ["cleaned up, 0 told"]


async def test_an_end_is_told_even_if_a_late_signal_interrupts_the_cleaning_up(endings: Endings) -> None:
    def interrupted() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        thread_run(lambda_of(Number(n=5)), endings, clean_up=interrupted)
    assert await endings.next() == b'{"n":5}'


async def test_a_job_for_which_there_is_no_thread_is_given_back_and_not_run_later(endings: Endings) -> None:
    kept: list[Callable[[], None]] = []

    def has_no_thread(work: Callable[[], None]) -> None:
        kept.append(work)
        raise RuntimeError("can't start new thread")

    begun = threading.Event()

    def begins(given: Given) -> Number:
        begun.set()
        return given

    thread_run(begins, endings, has_no_thread)
    assert isinstance(await endings.next(), NotBegun)
    kept[0]()
    assert not begun.is_set()


async def test_one_that_was_taken_along_begins_when_it_is_mended_and_only_once(
    endings: Endings,
) -> None:
    lost: list[Callable[[], None]] = []
    run = thread_run(lambda_of(Number(n=5)), endings, lost.append)
    run.mend()
    for begin in lost:
        begin()
    assert await endings.next() == b'{"n":5}'
    await asyncio.sleep(0)
    assert endings.all.empty()


async def test_an_end_that_was_lost_to_an_error_from_outside_is_told_when_the_run_is_mended(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Run, "_end", lambda *_: None)
        of_thread, of_loop = thread_run(lambda_of(Number(n=5)), endings), loop_run(returns, endings)
        await asyncio.sleep(0.01)
        of_loop.mend()
    of_thread.mend()
    of_thread.mend()
    assert await endings.next() == b'{"n":5}'
    of_loop.mend()
    assert isinstance(await endings.next(), Disturbed)
    assert endings.all.empty()


async def test_a_run_that_its_thread_has_left_without_a_word_ends_when_it_is_mended(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ThreadRun, "_tell_end", raise_late)
        run = thread_run(lambda_of(Number(n=5)), endings)
    run.mend()
    assert await endings.next() == b'{"n":5}'


async def test_a_run_that_its_thread_has_left_before_it_began_begins_when_it_is_mended(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(runs, "current_thread", raise_late)
        run = thread_run(lambda_of(Number(n=5)), endings)
    assert not run.begun
    run.mend()
    assert await endings.next() == b'{"n":5}'


async def test_a_run_whose_thread_is_at_it_is_left_alone(endings: Endings) -> None:
    began, go_on = threading.Event(), threading.Event()

    def waits(given: Given) -> Number:
        began.set()
        go_on.wait()
        return Number(n=5)

    with ThreadPoolExecutor(1) as pool:
        run = thread_run(waits, endings, pool.submit)
        await asyncio.to_thread(began.wait)
        run.mend()
        assert endings.all.empty()
        go_on.set()
        assert await endings.next() == b'{"n":5}'


async def test_a_job_that_has_not_begun_when_its_time_is_up_is_given_back(endings: Endings) -> None:
    thread_run(lambda_of(Number()), endings, lambda _: None, limit_s=0.01)
    assert isinstance(await endings.next(), NotBegun)
