"""Hosts that die, block, wear out and cannot be started: whose fault it was, and where the others go on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consumer.hosts.host import QUIET_S, Host
from consumer.hosts.hosts import Wear
from sluice.core.outcome import ChildDied, OutOfMemory, Released, TimedOut
from sluice.core.runtime.telemetry import Event
from sluice.errors import StartRefused
from tests.support.processes import lives
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.conftest import OWN, WriteModule
from tests.unit.consumer.hosts.real_hosts import (
    RealHosts,
    is_under_way,
    mark_in,
    pid_of,
    running_hosts,
    value_of,
)
from tests.unit.consumer.make_attempts import an_attempt

CLOSED = r"It closed the pipe on which it answers\.|It ended with exit status 0\."


@pytest.fixture
async def hosts() -> AsyncIterator[RealHosts]:
    async with running_hosts() as hosts:
        yield hosts


# A host dies


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("abort", r"It was ended by SIGABRT\."),
        ("segfault", r"It was ended by SIGSEGV\."),
        ("kill", r"It was ended by SIGKILL \(perhaps out of memory\)\."),
        ("unnamed signal", r"It was ended by signal 40\."),
        ("false dump", r"It ended with exit status 3\."),
        ("leave", r"It ended with exit status 0\."),
        ("closes", CLOSED),
        ("shuts", CLOSED),
        ("babbles", r"It sent what cannot be read: BrokenFrame: .*33 MiB\."),
    ],
)
@pytest.mark.parametrize("handler", [kinds.ends, kinds.in_process], ids=["loop", "slot"])
async def test_a_host_that_dies_is_replaced_and_its_only_job_charged(
    hosts: RealHosts, handler: Any, how: str, words: str
) -> None:
    ended = await hosts.run(handler, {"how": how})
    assert isinstance(ended, ChildDied)
    assert_matches(words, str(ended))
    assert await hosts.value(handler, how="dict") == 5
    (told,) = hosts.events.fields(Event.HOST_DIED)
    assert (told["why"], told["kind"], told["attempt"]) == (str(ended), handler.kind, 1)
    if how in ("abort", "segfault"):
        assert_matches(r".*hostile_kinds\.py:\d+ in <lambda>", told["where"])


@pytest.mark.parametrize("how", ["leaves interrupts", "leaves an exit"])
@pytest.mark.parametrize("handler", [kinds.in_thread, kinds.in_process], ids=["thread", "slot"])
async def test_what_an_earlier_job_has_left_behind_does_to_the_next_is_not_charged_to_it(
    hosts: RealHosts, handler: Any, how: str
) -> None:
    assert await hosts.value(handler, how=how) == "left"
    assert await hosts.value(handler, how="spins") == "spun"


async def test_jobs_beside_one_that_kills_their_host_go_on_elsewhere_and_it_alone_is_charged(
    hosts: RealHosts,
) -> None:
    naps = [await hosts.start(kinds.nap, {"seconds": 0.3}) for _ in range(3)]
    assert isinstance(await hosts.run(kinds.ends, {"how": "abort"}), ChildDied)
    assert [await run for _, run in naps] == [b'{"value":"slept"}'] * 3
    assert hosts.died == 2, "the shared host, and the one of its kind"
    assert hosts.hosts.places.blame._strikes == {"t.ends": 1}
    assert {host.name for host in hosts.hosts.all} <= {"shared", "t.nap", "t.ends"}


async def test_two_jobs_of_one_kind_that_kill_their_host_together_are_each_found_out_alone(
    hosts: RealHosts,
) -> None:
    bad = [hosts.run(kinds.ends, {"how": "abort"}) for _ in range(2)]
    good = [hosts.run(kinds.nap, {"seconds": 0.1}) for _ in range(2)]
    ends = await asyncio.gather(*bad, *good)
    assert [type(end) for end in ends] == [ChildDied, ChildDied, bytes, bytes]
    assert hosts.hosts.places.blame.kinds == ["t.ends"]


async def test_a_kind_that_killed_its_host_twice_has_one_of_its_own(hosts: RealHosts) -> None:
    for _ in range(2):
        assert isinstance(await hosts.run(kinds.ends, {"how": "leave"}), ChildDied)
    neighbour, nap = await hosts.start(kinds.nap, {"seconds": 60})
    shared = hosts.shared
    assert isinstance(await hosts.run(kinds.ends, {"how": "leave"}), ChildDied)
    assert await hosts.value(kinds.ends, how="pid") not in (None, pid_of(shared))
    assert (hosts.shared, shared.in_hand) == (shared, 1), "nobody else noticed"
    assert hosts.events.fields(Event.QUARANTINED) == [{"kind": "t.ends"}]
    neighbour.cancel()
    await nap


async def test_neighbours_of_poison_all_succeed(hosts: RealHosts) -> None:
    hows = ("abort", "leave", "kill", "error")
    poison = [hosts.run(handler, {"how": how}) for how in hows for handler in (kinds.ends, kinds.in_process)]
    good = [hosts.run(kinds.in_thread, {"how": "dict"}) for _ in range(20)]
    good += [hosts.run(kinds.nap, {"seconds": 0.2}) for _ in range(20)]
    _, *ends = await asyncio.gather(asyncio.gather(*poison), *good)
    assert {type(end) for end in ends} == {bytes}


async def test_what_a_job_alone_does_to_its_host_is_not_held_against_its_kind(hosts: RealHosts) -> None:
    for _ in range(2):
        assert isinstance(await hosts.run(kinds.ends, {"how": "abort"}, solo_crashes=1), ChildDied)
    assert hosts.hosts.places.blame.kinds == []


async def test_an_idle_slot_that_was_killed_is_replaced_and_nobody_charged(hosts: RealHosts) -> None:
    pid = await hosts.value(kinds.in_process, how="pid")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not lives(pid))
    await until(lambda: not hosts.hosts.slots._idle[0].available)
    assert await hosts.value(kinds.in_process, how="pid") not in (None, pid)


async def test_an_idle_shared_host_that_was_killed_is_replaced_before_anybody_wants_it(
    hosts: RealHosts,
) -> None:
    old = hosts.shared
    os.kill(pid_of(old), signal.SIGKILL)
    await until(lambda: hosts.hosts.places.shared.current not in (None, old))
    assert hosts.events.fields(Event.HOST_DIED) == [
        {"host": "shared", "why": "It was ended by SIGKILL (perhaps out of memory).", "where": ""}
    ]


async def test_a_process_that_is_out_of_memory_is_an_ending_like_others() -> None:
    async with running_hosts(memory_mib=256) as hosts:
        ended = await hosts.run(kinds.in_process, {"how": "hungry", "seconds": 1})
        assert isinstance(ended, OutOfMemory)
        assert str(ended) == "It asked for more memory than the 256 MiB that a process may have."
        for handler, limit in ((kinds.in_process, 256), (kinds.ends, 512)):
            may_allocate, _, order = await hosts.value(handler, how="means")
            assert (may_allocate >> 20, order) == (limit, 1000)


# A handler does not end


@pytest.mark.parametrize("handler", [kinds.swallow, kinds.deaf, kinds.in_thread])
async def test_a_host_whose_handler_goes_on_after_its_time_is_replaced_and_its_neighbours_finish_in_it(
    hosts: RealHosts, handler: Any
) -> None:
    old = hosts.shared
    _, neighbour = await hosts.start(kinds.nap, {"seconds": 1.5})
    ended = await hosts.run(handler, {"seconds": 600, "how": "ignore"}, timeout_s=0.1)
    assert isinstance(ended, TimedOut)
    assert hosts.stats.stuck == {handler.kind: 1}
    await until(lambda: hosts.hosts.places.shared.current not in (None, old))
    assert await hosts.value(kinds.ends, how="pid") == pid_of(hosts.shared)
    assert not old.gone.is_set()
    assert await neighbour == b'{"value":"slept"}'
    await old.gone.wait()
    assert (hosts.died, hosts.stats.replaced) == (0, {"stuck": 1})


async def test_a_handler_that_goes_on_after_a_cancel_costs_its_host_too(hosts: RealHosts) -> None:
    old = hosts.shared
    attempt, run = await hosts.start(kinds.in_thread, {"seconds": 600, "how": "ignore"})
    attempt.cancel()
    assert await run is attempt.stopped
    await old.gone.wait()
    assert hosts.stats.stuck == {"t.thread": 1}


async def test_a_kind_that_does_not_end_twice_has_a_host_of_its_own(hosts: RealHosts) -> None:
    for _ in range(2):
        await hosts.run(kinds.swallow, timeout_s=0.05)
    assert hosts.hosts.places.blame.kinds == ["t.swallow"]


@pytest.mark.parametrize("how", ["time limit", "stop", "the task is cancelled"])
async def test_a_slot_whose_job_is_to_end_is_killed(hosts: RealHosts, how: str) -> None:
    limit = 0.1 if how == "time limit" else None
    attempt, run = await hosts.start(kinds.in_process, {"seconds": 60}, timeout_s=limit)
    (slot,) = hosts.hosts.slots.hosts
    if how == "stop":
        attempt.stop(Released())
    elif how != "time limit":
        run.cancel()
    await asyncio.wait([run])
    await until(lambda: not lives(pid_of(slot)))
    assert how == "the task is cancelled" or run.result() is attempt.stopped
    assert (hosts.died, hosts.hosts.places.blame.kinds) == (0, [])


@pytest.mark.parametrize("handler", [kinds.block, kinds.in_thread, kinds.in_process, kinds.deaf])
async def test_a_job_alone_that_does_not_end_costs_only_its_own_process(
    hosts: RealHosts, handler: Any
) -> None:
    given = {"seconds": 60, "how": "ignore"}
    ended = await hosts.run(handler, given, timeout_s=0.2, solo_crashes=1)
    assert isinstance(ended, TimedOut)
    assert (hosts.died, hosts.stats.stuck) == (0, {})


async def test_a_frozen_slot_does_not_hold_up_its_job(hosts: RealHosts) -> None:
    pid = await hosts.value(kinds.in_process, how="pid")
    os.kill(pid, signal.SIGSTOP)
    attempt, run = await hosts.start(kinds.in_process, {"mark": "x" * 5_000_000})
    attempt.stop(Released())
    assert isinstance(await run, Released)
    await until(lambda: not lives(pid))


# A loop is blocked


async def test_a_loop_that_is_blocked_is_ended_and_the_job_that_blocks_it_charged(hosts: RealHosts) -> None:
    naps = [await hosts.start(kinds.nap, {"seconds": 60}) for _ in range(2)]
    ended = await hosts.run(kinds.block, {"seconds": 600})
    assert isinstance(ended, ChildDied)
    assert str(ended) == "The event loop was blocked for 2 s."
    assert [type(await run) for _, run in naps] == [Released, Released]
    told, again = hosts.events.fields(Event.BLOCKED)
    assert (told["host"], again["host"], told["kind"]) == ("shared", "t.block", "t.block")
    assert_matches(r".*hostile_kinds\.py:\d+ in block", told["where"])
    assert told["seconds"] >= 2
    assert (hosts.stats.replaced, hosts.hosts.places.blame._strikes) == ({"blocked": 2}, {"t.block": 2})


async def test_the_first_job_of_a_host_is_charged_at_once_for_what_blocks_it(hosts: RealHosts) -> None:
    assert isinstance(await hosts.run(kinds.block, {"seconds": 600}), ChildDied)
    assert (hosts.stats.replaced, hosts.hosts.places.blame._strikes) == ({"blocked": 1}, {"t.block": 1})


@pytest.mark.parametrize("handler", [kinds.ends, kinds.in_thread], ids=["loop", "thread"])
async def test_who_lets_no_thread_of_python_run_is_found_by_the_stack(hosts: RealHosts, handler: Any) -> None:
    nap, napping = await hosts.start(kinds.nap, {"seconds": 60})
    ended = await hosts.run(handler, {"how": "holds"})
    assert isinstance(ended, ChildDied)
    assert str(ended) == "The event loop was blocked for 2 s."
    assert isinstance(await napping, Released)
    told, _ = hosts.events.fields(Event.BLOCKED)
    assert told["kind"] == handler.kind
    assert_matches(r".*hostile_kinds\.py:\d+ in _holds", told["where"])
    assert nap.stopped is None


async def test_jobs_beside_something_unknown_that_blocks_go_on_elsewhere(hosts: RealHosts) -> None:
    _, thread = await hosts.start(kinds.in_thread, {"seconds": 4})
    _, nap = await hosts.start(kinds.nap, {"seconds": 0.5})
    caller = await hosts.run(kinds.leave_callback, {"seconds": 600})
    assert isinstance(caller, ChildDied), "the only job of its kind left a callback again"
    assert await nap == b'{"value":"slept"}'
    assert value_of(await thread).startswith("handler")
    assert hosts.hosts.places.blame._strikes == {"t.callback": 1}


async def test_a_blockage_that_ends_in_time_is_measured_and_costs_nothing() -> None:
    async with running_hosts(blocked_s=30) as hosts:
        assert await hosts.value(kinds.block, seconds=1.7) == "blocked"
        await until(lambda: hosts.stats.blocked_s)
        (told,) = hosts.events.fields(Event.BLOCKED)
        assert 1 <= told["seconds"] < 10
        assert (told["kind"], hosts.stats.replaced) == ("t.block", {"blocked": 0})


async def test_work_is_not_late_because_another_blocks_the_loop() -> None:
    async with running_hosts(blocked_s=30, grace_s=QUIET_S + 0.1) as hosts:
        ended = await asyncio.gather(
            hosts.run(kinds.nap, {"seconds": 0.1}, timeout_s=0.4),
            hosts.run(kinds.in_thread, {"seconds": 0.1}, timeout_s=0.4),
            hosts.run(kinds.block, {"seconds": QUIET_S + 1}),
        )
        assert [type(end) for end in ended] == [bytes, bytes, bytes]
        assert hosts.stats.stuck == {}


async def test_a_host_that_was_stopped_from_outside_is_ended_and_its_jobs_go_on(hosts: RealHosts) -> None:
    jobs = [await hosts.start(kinds.nap, {"seconds": 0.2}) for _ in range(2)]
    jobs += [await hosts.start(kinds.in_thread, {"seconds": 0.2})]
    os.kill(pid_of(hosts.shared), signal.SIGSTOP)
    assert [type(await run) for _, run in jobs] == [bytes, bytes, bytes]
    assert hosts.hosts.places.blame._strikes == {}
    assert hosts.stats.replaced["blocked"] == 1


# Hosts wear out


async def test_a_host_is_renewed_after_so_many_jobs_and_drains() -> None:
    async with running_hosts(Wear(3, 1_000_000)) as hosts:
        old = hosts.shared
        _, nap = await hosts.start(kinds.nap, {"seconds": 2})
        for _ in range(2):
            await hosts.value(kinds.echo)
        await until(lambda: hosts.shared is not old)
        assert await hosts.value(kinds.ends, how="pid") != pid_of(old)
        assert await nap == b'{"value":"slept"}'
        await old.gone.wait()
        assert (hosts.stats.replaced, hosts.died) == ({"jobs": 1}, 0)


async def test_while_there_are_many_places_a_job_whose_host_was_lost_goes_on_alone(
    hosts: RealHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.hosts.places.MOST_PLACES", 1)
    neighbour = asyncio.create_task(hosts.value(kinds.nap, seconds=0.5))
    assert isinstance(await hosts.run(kinds.ends, {"how": "kill"}), ChildDied)
    await neighbour
    assert list(hosts.hosts.places._places) == ["shared"]


async def test_a_host_with_other_versions_of_kinds_than_the_consumer_started_with_gets_no_job(
    write_module: WriteModule,
) -> None:
    code = """
        from tests.unit.consumer.hostile_kinds import Ask, Reply
        from sluice import handler

        @handler("own.kind", version={}, runs_in="process")
        def own(ask: Ask) -> Reply:
            return Reply(value="here")
    """
    write_module(code.format(3))
    async with running_hosts(modules=[OWN]) as hosts:
        # Of another length: within a second, Python would run what it has compiled of the first.
        write_module(code.format(40))
        run = asyncio.create_task(hosts.hosts._start("slot", slot=True))
        await until(lambda: hosts.refused)
        with pytest.raises(StartRefused, match="changed since this consumer started: restart it"):
            hosts.hosts.check()
        run.cancel()


async def test_a_host_is_renewed_once_it_has_grown() -> None:
    async with running_hosts(Wear(1_000_000, 1)) as hosts:
        old = hosts.shared
        await until(lambda: hosts.stats.replaced["memory"])
        await old.gone.wait()
        assert old.uses.memory_mib >= 1
        assert await hosts.value(kinds.echo, number=5) == 5


async def test_a_slot_serves_many_jobs_until_it_is_worn() -> None:
    async with running_hosts(Wear(2, 1_000_000)) as hosts:
        pids = [await hosts.value(kinds.in_process, how="pid") for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
        await until(lambda: not lives(pids[0]))


# Hosts cannot be started


GOOD = """
    from pydantic import BaseModel
    from sluice import handler

    class Ask(BaseModel):
        pass

    @handler("t.echo")
    async def echo(ask: Ask) -> Ask:
        return ask
"""


async def test_a_module_that_was_broken_meanwhile_is_tried_again_while_jobs_wait(
    write_module: WriteModule, caplog: pytest.LogCaptureFixture
) -> None:
    write_module(GOOD)
    async with running_hosts(modules=(OWN,)) as hosts:
        write_module("raise LookupError('broken now')")
        os.kill(pid_of(hosts.shared), signal.SIGKILL)
        await until(lambda: hosts.hosts.places.shared.current is None)
        waiting = an_attempt(kinds.echo)
        run = asyncio.create_task(hosts.finish(waiting))
        await until(lambda: "broken now" in caplog.text)
        assert waiting.waiting
        write_module(GOOD)
        assert await run == b"{}"
    assert "a host did not start (1 times in a row)" in caplog.text
    assert hosts.refused == []


async def test_a_machine_without_processes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    really, failures = (
        asyncio.create_subprocess_exec,
        [BlockingIOError(11, "Resource temporarily unavailable")],
    )

    async def spawn(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await really(*arguments, **options)

    async with running_hosts() as hosts:
        monkeypatch.setattr("consumer.hosts.child.asyncio.create_subprocess_exec", spawn)
        assert isinstance(await hosts.value(kinds.in_process, how="pid"), int)
        assert failures == []


async def test_a_consumer_whose_hosts_cannot_be_started_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.hosts.starting.TRIES", 1)
    async with running_hosts() as hosts:
        hosts.hosts.check()
        hosts.hosts._spec = hosts.hosts._spec._replace(modules=("no.such.module",))
        os.kill(pid_of(hosts.shared), signal.SIGKILL)
        await until(lambda: hosts.refused)
        with pytest.raises(StartRefused, match=r"no\.such\.module does not load"):
            hosts.hosts.check()


# Waiting for a host


async def test_the_time_limit_does_not_count_while_a_job_waits_for_its_host(hosts: RealHosts) -> None:
    for handler in (kinds.in_process, kinds.in_thread):
        attempt = an_attempt(handler, solo_crashes=1)
        run = asyncio.create_task(hosts.finish(attempt))
        await until(lambda: attempt.waiting)  # noqa: B023  it is awaited here
        began = attempt.started
        assert isinstance(await run, bytes)
        assert attempt.started > began


async def test_a_job_that_waits_for_its_host_can_be_stopped_and_the_host_serves_another(
    hosts: RealHosts,
) -> None:
    attempt = an_attempt(kinds.in_process, {"seconds": 60})
    run = asyncio.create_task(hosts.finish(attempt))
    await until(lambda: attempt.waiting)
    attempt.stop(Released())
    assert await run is attempt.stopped
    assert not is_under_way(attempt)
    await until(lambda: hosts.hosts.slots._idle)
    (spare,) = hosts.hosts.slots.hosts
    assert await hosts.value(kinds.in_process, how="pid") == pid_of(spare)


async def test_closing_ends_hosts_that_are_being_started_and_what_runs(tmp_path: Path) -> None:
    started: list[Host] = []
    marks = [tmp_path / "loop", tmp_path / "slot"]
    async with running_hosts() as hosts:
        runs = [await hosts.start(kinds.start_program, {"mark": str(marks[0])})]
        runs += [await hosts.start(kinds.in_process, {"seconds": 60, "mark": str(marks[1])})]
        pids = [await mark_in(mark) for mark in marks]
        waiting = an_attempt(kinds.in_process)
        late = asyncio.create_task(hosts.finish(waiting))
        await until(lambda: waiting.waiting)
        for attempt in (waiting, runs[0][0], runs[1][0]):
            attempt.stop(Released())
        await late
        started += hosts.hosts.all
    assert [type(await run) for _, run in runs] == [Released, Released]
    await until(lambda: not any(lives(pid) for pid in (*pids, *map(pid_of, started))))
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]  # a test is one


def assert_matches(pattern: str, text: str) -> None:
    """Check the whole of a text."""
    assert re.fullmatch(pattern, text), text
