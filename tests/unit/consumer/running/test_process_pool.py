"""Runs handlers in real child processes, which are killed, die, lie and stay silent."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.attempt import Attempt
from consumer.running.process_pool import ProcessPool
from consumer.running.runner import Runner
from sluice.core.outcome import ChildDied, HandlerFailed, OutOfMemory, Released, TimedOut
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

MODULES = ["tests.unit.consumer.hostile_kinds"]


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    runner = Runner(MODULES, threads=2, processes=1, grace_s=5)
    yield runner
    await runner.close()


async def value_of(runner: Runner, handler: Any = kinds.in_process, **given: Any) -> Any:
    """The value in the Reply of a process."""
    output = await runner.run(an_attempt(handler, given))
    assert isinstance(output, bytes), output
    return orjson.loads(output)["value"]


def begun(attempt: Attempt) -> bool:
    """True once a child has begun with it."""
    return attempt.on_stop is not None and not attempt.waiting


def lives(pid: int) -> bool:
    """True while there is such a process that is not merely waiting to be buried."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False


async def test_runs_in_a_process_of_its_own_in_the_background(runner: Runner) -> None:
    pid, parent, nice = await value_of(runner)
    assert os.getpid() not in (pid, parent)
    assert nice == 19


async def test_a_process_serves_many_jobs(runner: Runner) -> None:
    assert await value_of(runner, how="pid") == await value_of(runner, how="pid")


async def test_reports_the_progress_of_a_process_at_most_twice_a_second(runner: Runner) -> None:
    attempt = an_attempt(kinds.in_process, {"seconds": 0.02})
    assert isinstance(await runner.run(attempt), bytes)
    assert attempt.progress == b'{"percent":25.0,"note":"a quarter"}'


@pytest.mark.parametrize(
    ("how", "ending", "words"),
    [
        ("give up", GiveUp, "no use"),
        ("later", RetryLater, "busy"),
        ("nan", BadOutput, "NaN"),
        ("large", BadOutput, "10000012 bytes"),
        ("none", BadOutput, "NoneType"),
        ("error", HandlerFailed, "nothing there"),
        ("stubborn", HandlerFailed, "stubborn"),
        ("exit", HandlerFailed, "3"),
        ("generator", HandlerFailed, "mine"),
        ("interrupt", HandlerFailed, "mine"),
    ],
)
async def test_brings_over_whatever_ended_the_attempt(
    runner: Runner, how: str, ending: type[BaseException], words: str
) -> None:
    ended = await runner.run(an_attempt(kinds.in_process, {"how": how}))
    assert type(ended) is ending
    assert words in str(ended)


async def test_an_exception_comes_as_words_with_its_traceback(runner: Runner) -> None:
    ended = await runner.run(an_attempt(kinds.in_process, {"how": "error"}))
    assert isinstance(ended, HandlerFailed)
    assert ended.title == "LookupError"
    assert "kinds.py" in ended.trace
    later = await runner.run(an_attempt(kinds.in_process, {"how": "later"}))
    assert isinstance(later, RetryLater)
    assert later.after_s == 7


async def test_refuses_a_stored_input_that_does_not_fit(runner: Runner) -> None:
    assert isinstance(await runner.run(an_attempt(kinds.in_process, {"number": "many"})), BadInput)


@pytest.mark.parametrize("how", ["generator", "interrupt", "exit", "cancelled"])
async def test_whatever_ends_the_loop_of_a_solo_job_is_an_ending_like_others(
    runner: Runner, how: str
) -> None:
    ended = await runner.run(an_attempt(kinds.ends, {"how": how}, crash_count=1))
    assert isinstance(ended, HandlerFailed)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("abort", "It was ended by SIGABRT."),
        ("kill", "It was ended by SIGKILL (perhaps out of memory)."),
        ("segfault", "It was ended by SIGSEGV."),
        ("leave", "It ended with exit status 0."),
        ("closes", "It closed the pipe on which it answers."),
        ("orphan", "It ended with exit status 3."),
    ],
)
async def test_a_child_that_dies_is_named_and_the_next_job_runs(
    runner: Runner, how: str, words: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    ended = await runner.run(an_attempt(kinds.in_process, {"how": how, "mark": str(mark)}))
    assert isinstance(ended, ChildDied)
    assert str(ended) == words
    assert await value_of(runner, how="dict") == 5
    if how == "orphan":
        await until(lambda: not lives(int(mark.read_text())))


async def test_work_that_fills_the_memory_fails_with_the_reason_and_the_next_job_has_a_new_process() -> None:
    runner = Runner(MODULES, threads=1, processes=1, grace_s=5, memory_mib=256)
    try:
        most, hard, order = await value_of(runner, how="means")
        assert (most, hard, order) == (256 << 20, 256 << 20, 1000)
        pid = await value_of(runner, how="pid")
        ended = await runner.run(an_attempt(kinds.in_process, {"how": "hungry", "seconds": 1}))
        assert isinstance(ended, OutOfMemory)
        assert str(ended) == "It asked for more memory than the 256 MiB that a process may have."
        assert await value_of(runner, how="pid") != pid
        alone = await runner.run(an_attempt(kinds.ends, {"how": "hungry", "seconds": 1}, crash_count=1))
        assert isinstance(alone, OutOfMemory)
    finally:
        await runner.close()


async def test_without_a_bound_a_process_may_allocate_what_its_parent_may(runner: Runner) -> None:
    assert (await value_of(runner, how="means"))[:2] == [*resource.getrlimit(resource.RLIMIT_DATA)]


async def test_work_that_takes_too_long_is_killed(runner: Runner, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    given = {"seconds": 60, "mark": str(mark)}
    ended = await runner.run(an_attempt(kinds.in_process, given, timeout_s=0.1))
    assert isinstance(ended, TimedOut)
    assert not lives(int(mark.read_text()))


async def test_work_that_is_stopped_is_killed(runner: Runner, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    attempt = an_attempt(kinds.in_process, {"seconds": 60, "mark": str(mark)})
    run = asyncio.create_task(runner.run(attempt))
    await until(lambda: mark.exists() and mark.read_text())
    attempt.stop(Released())
    assert isinstance(await run, Released)
    assert not lives(int(mark.read_text()))


async def test_a_cancelled_run_is_killed_too(runner: Runner, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    run = asyncio.create_task(runner.run(an_attempt(kinds.in_process, {"seconds": 60, "mark": str(mark)})))
    await until(lambda: mark.exists() and mark.read_text())
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: not lives(int(mark.read_text())))


async def test_the_time_limit_does_not_count_while_a_job_waits_for_its_turn(runner: Runner) -> None:
    first = an_attempt(kinds.in_process, {"seconds": 0.4})
    second = an_attempt(kinds.in_process, {"seconds": 0.01}, timeout_s=0.3)
    runs = [asyncio.create_task(runner.run(each)) for each in (first, second)]
    await until(lambda: begun(first))
    assert second.waiting
    assert isinstance(await runs[0], bytes)
    assert isinstance(await runs[1], bytes)
    assert second.started > first.started


async def test_a_job_that_waits_for_its_turn_can_be_stopped(runner: Runner) -> None:
    first, second = (an_attempt(kinds.in_process, {"seconds": 60}) for _ in range(2))
    runs = [asyncio.create_task(runner.run(each)) for each in (first, second)]
    await until(lambda: begun(first))
    second.stop(Released())
    assert isinstance(await runs[1], Released)
    first.stop(Released())
    await runs[0]


async def test_an_idle_child_that_was_killed_is_replaced(runner: Runner) -> None:
    pid = await value_of(runner, how="pid")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not lives(pid))
    assert await value_of(runner, how="pid") not in (None, pid)


async def test_a_frozen_child_does_not_hold_up_its_slot(runner: Runner) -> None:
    pid = await value_of(runner, how="pid")
    os.kill(pid, signal.SIGSTOP)
    attempt = an_attempt(kinds.in_process, {"mark": "x" * 5_000_000}, timeout_s=0.1)
    run = asyncio.create_task(runner.run(attempt))
    await asyncio.sleep(0.1)
    attempt.stop(Released())
    assert isinstance(await run, Released)
    assert not lives(pid)


async def test_a_signal_for_the_whole_group_does_not_end_the_fork_server(runner: Runner) -> None:
    pid, parent, _ = await value_of(runner)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(parent, number)
    assert await value_of(runner, how="pid") == pid
    ended = await runner.run(an_attempt(kinds.in_process, crash_count=1))
    assert isinstance(ended, bytes)
    assert orjson.loads(ended)["value"][1] == parent


async def test_signals_for_the_whole_group_do_not_end_a_child(runner: Runner) -> None:
    assert await value_of(runner, how="signals") == -signal.SIGTERM


@pytest.mark.parametrize("handler", [kinds.echo, kinds.talk, kinds.in_thread, kinds.in_process])
async def test_what_crashed_before_runs_alone_in_a_process_that_ends_with_it(
    runner: Runner, handler: Any
) -> None:
    ended = await runner.run(an_attempt(handler, {"how": "dict"}, crash_count=1))
    assert isinstance(ended, bytes), ended


async def test_every_solo_job_has_a_new_process_and_waits_for_no_other_pool(runner: Runner) -> None:
    long = an_attempt(kinds.in_process, {"seconds": 60})
    blocked = asyncio.create_task(runner.run(long))
    await until(lambda: begun(long))
    pids = []
    for _ in range(2):
        ended = await runner.run(an_attempt(kinds.in_process, {"how": "pid"}, crash_count=1))
        assert isinstance(ended, bytes)
        pids.append(orjson.loads(ended)["value"])
    assert pids[0] != pids[1]
    await until(lambda: not any(map(lives, pids)))
    long.stop(Released())
    await blocked


async def test_a_blocked_loop_or_an_abort_costs_a_solo_job_only_its_child(runner: Runner) -> None:
    solo = {"crash_count": 1, "timeout_s": 0.2}
    blocked = runner.run(an_attempt(kinds.block, {"seconds": 60}, **solo))
    died = runner.run(an_attempt(kinds.ends, {"how": "abort"}, crash_count=1))
    ends = await asyncio.gather(blocked, died)
    assert [type(end) for end in ends] == [TimedOut, ChildDied]


async def test_neighbours_of_poison_all_succeed(runner: Runner) -> None:
    poison = [an_attempt(kinds.in_process, {"how": how}) for how in ("abort", "leave", "kill", "error") * 2]
    good = [an_attempt(kinds.in_process, {"how": "dict"}) for _ in range(40)]
    mixed = [each for pair in zip(good[:8], poison, strict=True) for each in pair] + good[8:]
    ends = await asyncio.gather(*map(runner.run, mixed))
    ended = {id(attempt): end for attempt, end in zip(mixed, ends, strict=True)}
    assert all(ended[id(each)] == b'{"value":5}' for each in good)
    assert {type(ended[id(each)]) for each in poison} == {ChildDied, HandlerFailed}


async def test_children_that_cannot_load_their_kinds_fail_the_attempt_with_the_reason() -> None:
    children = ProcessPool(["no.such.module"], 1, 1)
    ended = await children.run(an_attempt(kinds.in_process))
    assert isinstance(ended, RuntimeError)
    assert "no.such.module does not load" in str(ended)
    await children.close()


async def test_pools_say_how_they_stand(runner: Runner) -> None:
    await value_of(runner)
    assert repr(runner) == (
        "<Runner <ThreadPool handler: 0 busy, 0 runaways, 0 of 2> <ProcessPool: 0 jobs in hand, 1 processes> "
        "<ProcessPool: 0 jobs in hand, 0 processes>>"
    )


async def test_a_machine_without_processes_fails_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", refuse)
    children = ProcessPool(MODULES, 1, 1)
    ended = await children.run(an_attempt(kinds.in_process))
    assert isinstance(ended, RuntimeError)
    assert "Resource temporarily unavailable" in str(ended)
    await children.close()


async def test_an_answer_that_cannot_be_read_is_an_ending_like_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def garble(self: object) -> object:
        raise ValueError("not an answer")

    children = ProcessPool(MODULES, 1, 1)
    monkeypatch.setattr("consumer.running.child_process.ChildProcess._next_answer", garble)
    ended = await children.run(an_attempt(kinds.in_process))
    assert isinstance(ended, ValueError)
    await children.close()


async def test_closing_stops_what_runs_and_leaves_no_process(tmp_path: Path) -> None:
    runner = Runner(MODULES, threads=1, processes=2)
    marks = [tmp_path / "one", tmp_path / "two"]
    runs = [
        asyncio.create_task(runner.run(an_attempt(kinds.in_process, {"seconds": 60, "mark": str(mark)})))
        for mark in marks
    ]
    await until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    await runner.close()
    assert [type(end) for end in await asyncio.gather(*runs)] == [Released, Released]
    await until(lambda: not any(lives(int(mark.read_text())) for mark in marks))


PARENT = """
    import asyncio, os, signal, sys
    from consumer.running.runner import Runner
    from tests.unit.consumer import hostile_kinds as kinds
    from tests.unit.consumer.make_attempts import an_attempt

    async def main():
        runner = Runner(["tests.unit.consumer.hostile_kinds"], 1, 1)
        run = asyncio.create_task(runner.run(an_attempt(kinds.in_process, {"seconds": 60, "mark": sys.argv[1]})))
        while not os.path.exists(sys.argv[1]) or not os.path.getsize(sys.argv[1]):
            await asyncio.sleep(0.01)
        if sys.argv[2] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0) if sys.argv[2] == "leave" else sys.exit(7)

    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["kill", "leave", "exit"])
async def test_children_end_with_their_parent(tmp_path: Path, how: str) -> None:
    script, mark = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(textwrap.dedent(PARENT))
    parent = subprocess.run(  # noqa: ASYNC221  nothing else runs in this loop
        [sys.executable, str(script), str(mark), how],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert parent.returncode in (-signal.SIGKILL, 0, 7), parent.stderr
    await until(lambda: not lives(int(mark.read_text())))
