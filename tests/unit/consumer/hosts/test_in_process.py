"""Handlers in the consumer's own process, for a debugger."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from consumer.hosts.host_stats import HostStats
from consumer.hosts.in_process import InProcess
from sluice.core.outcome import HandlerFailed, Released, plain_ending
from sluice.core.runtime.telemetry import Telemetry
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.real_hosts import NO_WEAR, a_spec, value_of
from tests.unit.consumer.make_attempts import an_attempt


@pytest.fixture
async def hosts() -> AsyncIterator[InProcess]:
    hosts = InProcess(a_spec(), NO_WEAR, HostStats(Telemetry()), lambda: None)
    assert {"t.echo", "t.process"} <= set(await hosts.open())
    await hosts.keep()
    yield hosts
    await hosts.close()


@pytest.mark.parametrize("handler", [kinds.ends, kinds.in_thread, kinds.in_process])
async def test_every_kind_runs_in_this_very_process(hosts: InProcess, handler: Any) -> None:
    assert value_of(await hosts.run(an_attempt(handler, {"how": "dict"}))) == 5
    failed = await hosts.run(an_attempt(handler, {"how": "error"}))
    assert isinstance(failed, LookupError)
    assert hosts.all == []


async def test_plain_functions_run_in_the_main_thread_where_a_debugger_reaches_them(hosts: InProcess) -> None:
    assert value_of(await hosts.run(an_attempt(kinds.in_thread))) == threading.main_thread().name


async def test_context_and_progress_are_as_in_a_host(hosts: InProcess) -> None:
    attempt = an_attempt(kinds.talk, fence=7, attempt=3)
    assert value_of(await hosts.run(attempt)) == [attempt.job.id, 3, 7, False]
    assert attempt.progress == b'{"percent":40.0,"note":"on the way"}'


async def test_no_time_limit_counts_while_somebody_looks_at_a_breakpoint(hosts: InProcess) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 0.05}, timeout_s=0.01)
    assert value_of(await hosts.run(attempt)) == "slept"


async def test_a_stop_cancels_a_coroutine(hosts: InProcess) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 60})
    run = asyncio.create_task(hosts.run(attempt))
    await until(lambda: attempt.on_stop)
    attempt.cancel()
    ended = await run
    assert isinstance(ended, Released)
    assert (str(ended), attempt.on_stop) == ("cancelled", None)


async def test_what_was_stopped_before_is_not_begun(hosts: InProcess) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 60})
    attempt.stop(Released())
    assert await hosts.run(attempt) is attempt.stopped


async def test_a_run_that_is_cancelled_ends_its_handler(hosts: InProcess) -> None:
    attempt = an_attempt(kinds.nap, {"seconds": 60})
    run = asyncio.create_task(hosts.run(attempt))
    await until(lambda: attempt.on_stop)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_a_handler_that_cancels_its_own_task_has_failed(hosts: InProcess) -> None:
    ended = plain_ending(await hosts.run(an_attempt(kinds.self_cancelling)))
    assert isinstance(ended, HandlerFailed)
    assert ended.title == "CancelledError"
