"""However a handler ends, in the loop, in a thread or in a slot: its consumer hears of it. One consumer's hosts run all of these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from consumer.hosts.blame import STRIKES
from consumer.hosts.host import Host
from consumer.hosts.slots import FRESH_AT_ONCE
from sluice.core.outcome import HandlerFailed, OutOfMemory, Released, TimedOut
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.real_hosts import RealHosts, running_hosts, value_of
from tests.unit.consumer.make_attempts import an_attempt

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYWHERE = pytest.mark.parametrize(
    "handler", [kinds.ends, kinds.in_thread, kinds.in_process], ids=["loop", "thread", "slot"]
)
ALONE = pytest.mark.parametrize("crashes", [0, 1], ids=["", "alone"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hosts() -> AsyncIterator[RealHosts]:
    async with running_hosts(grace_s=5) as hosts:
        yield hosts


async def test_the_output_comes_as_json(hosts: RealHosts) -> None:
    assert await hosts.run(kinds.echo, {"number": 5}) == b'{"value":5}'


async def test_a_handler_gets_its_context_and_its_progress_arrives(hosts: RealHosts) -> None:
    attempt = an_attempt(kinds.talk, fence=7, attempt=3)
    assert value_of(await hosts.finish(attempt)) == [attempt.job.id, 3, 7, False]
    assert attempt.progress == b'{"percent":40.0,"note":"on the way"}'


async def test_progress_of_a_slot_arrives_at_most_twice_a_second(hosts: RealHosts) -> None:
    attempt = an_attempt(kinds.in_process, {"seconds": 0.02})
    assert isinstance(await hosts.finish(attempt), bytes)
    assert attempt.progress == b'{"percent":25.0,"note":"a quarter"}'


async def test_each_kind_runs_where_it_says(hosts: RealHosts) -> None:
    shared = await hosts.value(kinds.ends, how="pid")
    assert (await hosts.value(kinds.in_thread)).startswith("handler")
    assert await hosts.value(kinds.in_thread, how="pid") == shared
    slot, parent, nice = await hosts.value(kinds.in_process)
    assert slot not in (shared, os.getpid())
    assert (parent, nice) == (os.getpid(), 19)


@EVERYWHERE
@pytest.mark.parametrize(
    ("how", "ending", "words"),
    [
        ("error", HandlerFailed, "nothing there"),
        ("stubborn", HandlerFailed, "stubborn"),
        ("give up", GiveUp, "no use"),
        ("later", RetryLater, "busy"),
        ("exit", HandlerFailed, "3"),
        ("generator", HandlerFailed, "mine"),
        ("interrupt", HandlerFailed, "mine"),
        ("cancelled", HandlerFailed, ""),
        ("nan", BadOutput, "NaN"),
        ("large", BadOutput, "10000012 bytes"),
        ("none", BadOutput, "NoneType"),
    ],
)
async def test_whatever_ended_the_attempt_is_brought_over(
    hosts: RealHosts, handler: Any, how: str, ending: type[BaseException], words: str
) -> None:
    ended = await hosts.run(handler, {"how": how})
    assert type(ended) is ending
    assert words in str(ended)


@pytest.mark.parametrize("how", ["generator", "interrupt", "exit", "cancelled"])
async def test_what_ends_a_program_is_an_ending_like_others_for_a_job_alone(
    hosts: RealHosts, how: str
) -> None:
    assert isinstance(await hosts.run(kinds.ends, {"how": how}, solo_crashes=1), HandlerFailed)


async def test_an_exception_comes_as_words_with_its_traceback(hosts: RealHosts) -> None:
    ended = await hosts.run(kinds.in_process, {"how": "error"})
    assert isinstance(ended, HandlerFailed)
    assert ended.title == "LookupError"
    assert "hostile_kinds.py" in ended.trace
    later = await hosts.run(kinds.in_process, {"how": "later"})
    assert isinstance(later, RetryLater)
    assert later.after_s == 7


@EVERYWHERE
async def test_a_dict_that_fits_the_output_is_as_good_as_the_output(hosts: RealHosts, handler: Any) -> None:
    assert await hosts.value(handler, how="dict") == 5


@EVERYWHERE
async def test_a_stored_input_that_does_not_fit_the_kind_is_refused(hosts: RealHosts, handler: Any) -> None:
    ended = await hosts.run(handler, {"number": "many"})
    assert isinstance(ended, BadInput)
    assert str(ended).startswith("/number: ")
    assert "many" not in str(ended)


@pytest.mark.parametrize("handler", [kinds.nap, kinds.swallow, kinds.in_thread, kinds.in_process])
@ALONE
async def test_work_that_takes_too_long_has_timed_out(hosts: RealHosts, handler: Any, crashes: int) -> None:
    given = {"seconds": 60, "how": "return"}
    ended = await hosts.run(handler, given, timeout_s=0.02, solo_crashes=crashes)
    assert isinstance(ended, TimedOut)
    assert str(ended) == "The time limit of 0.02 s was reached."
    assert hosts.stats.stuck == {}


@pytest.mark.parametrize("handler", [kinds.nap, kinds.swallow, kinds.in_thread, kinds.in_process])
@ALONE
async def test_work_that_is_stopped_ends_with_the_reason(
    hosts: RealHosts, handler: Any, crashes: int
) -> None:
    attempt, run = await hosts.start(handler, {"seconds": 60, "how": "return"}, solo_crashes=crashes)
    attempt.stop(Released("cancelled"))
    attempt.stop(TimedOut("later"))
    assert str(await run) == "cancelled"
    assert hosts.stats.stuck == {}


@pytest.mark.parametrize("handler", [kinds.echo, kinds.in_thread, kinds.in_process])
@ALONE
async def test_an_attempt_that_was_stopped_before_it_ran_does_not_run(
    hosts: RealHosts, handler: Any, crashes: int
) -> None:
    attempt = an_attempt(handler, {"seconds": 60}, solo_crashes=crashes)
    attempt.stop(Released())
    assert await hosts.finish(attempt) is attempt.stopped
    assert attempt.on_stop is None


async def test_a_handler_that_cancels_its_own_task_has_failed(hosts: RealHosts) -> None:
    ended = await hosts.run(kinds.self_cancelling)
    assert isinstance(ended, HandlerFailed)
    assert ended.title == "CancelledError"


async def test_a_handler_that_cancels_its_own_task_beside_others_has_failed_too(hosts: RealHosts) -> None:
    neighbour, nap = await hosts.start(kinds.nap, {"seconds": 60})
    assert isinstance(await hosts.run(kinds.self_cancelling), HandlerFailed)
    neighbour.stop(Released())
    assert isinstance(await nap, Released)
    assert hosts.hosts.places.blame.kinds == []


async def test_the_callers_cancellation_is_raised_and_the_work_ended(hosts: RealHosts) -> None:
    for handler in (kinds.nap, kinds.in_thread, kinds.in_process):
        attempt, run = await hosts.start(handler, {"seconds": 60})
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert attempt.on_stop is None


async def test_a_thousand_jobs_at_once_end_well(hosts: RealHosts) -> None:
    values = await asyncio.gather(*(hosts.value(kinds.echo, number=number) for number in range(1000)))
    assert values == list(range(1000))


async def test_a_handler_that_lacks_memory_is_tried_once_more_in_another_process(
    hosts: RealHosts, tmp_path: Any
) -> None:
    for handler in (kinds.ends, kinds.in_thread, kinds.in_process):
        mark = tmp_path / handler.kind
        assert await hosts.value(handler, how="hungry at first", mark=str(mark)) != int(mark.read_text())
        assert isinstance(await hosts.run(handler, {"how": "hungry"}), OutOfMemory), "but only once more"


async def test_a_kind_that_lacks_memory_alone_as_well_soon_holds_up_nobody_for_it(
    hosts: RealHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, started = hosts.hosts._fresh[False], list[Host]()

    async def start(starting: Callable[[], Awaitable[Host]] = fresh._start) -> Host:
        started.append(await starting())
        return started[-1]

    monkeypatch.setattr(fresh, "_start", start)
    endings = await asyncio.gather(*(hosts.run(kinds.ends, {"how": "hungry"}) for _ in range(40)))
    assert {type(ending) for ending in endings} == {OutOfMemory}
    assert STRIKES <= len(started) < STRIKES + FRESH_AT_ONCE
    assert await hosts.value(kinds.in_thread, how="pid"), "others are not held up"


@pytest.mark.parametrize("handler", [kinds.echo, kinds.talk, kinds.in_thread, kinds.in_process])
async def test_what_crashed_before_runs_alone_in_a_process_that_ends_with_it(
    hosts: RealHosts, handler: Any
) -> None:
    assert isinstance(await hosts.run(handler, {"how": "dict"}, solo_crashes=1), bytes)


async def test_no_host_has_died_of_all_this(hosts: RealHosts) -> None:
    assert (hosts.died, hosts.hosts.places.blame.kinds, hosts.refused) == (0, [], [])
