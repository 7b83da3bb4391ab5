"""The attempts that one host has in hand, without the host: what is sent to it, and what comes of what it sends."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

from consumer.attempt import Attempt
from consumer.hosts.in_hand import InHand, Interrupted, Stopping
from sluice.core.outcome import ChildDied, Ending, HandlerFailed, Released, TimedOut
from sluice.handler import AnyHandler
from sluice.host.log_line import LogLine
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

GRACE_S = 0.03


class Setup:
    """A host that does nothing, and what it was told."""

    def __init__(self, alone: bool = False, grace_s: float = GRACE_S) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.late: list[Attempt] = []
        self.kills = 0
        self.held_up = False
        self.held_up_s = 0.0
        stopping = Stopping(
            self.kill if alone else None,
            grace_s,
            lambda: self.held_up,
            lambda: self.held_up_s,
            self.late.append,
        )
        self.jobs = InHand(self.sent.append, stopping)

    def kill(self) -> None:
        self.kills += 1

    async def start(
        self, handler: AnyHandler = kinds.nap, **fields: Any
    ) -> tuple[Attempt, asyncio.Task[Ending], int]:
        """A run that was sent: the attempt, the task that waits for it, and its number."""
        attempt = an_attempt(handler, **fields)
        run = asyncio.create_task(self.jobs.run(attempt))
        await until(lambda: self.sent and self.sent[-1][2] == attempt.job.id)
        return attempt, run, self.sent[-1][1]


async def test_a_job_is_sent_with_what_the_handler_needs_and_ends_as_the_host_says() -> None:
    setup = Setup()
    trace = f"00-{'a' * 32}-{'b' * 16}-00"
    given = {"number": 5}
    attempt, run, number = await setup.start(kinds.echo, given=given, attempt=3, fence=7, traceparent=trace)
    job = attempt.job
    assert setup.sent == [("run", number, job.id, "t.echo", 3, 7, 300, b'{"number":5}', trace)]
    assert setup.jobs.only_job == (job.id, "t.echo", 3, "a" * 32)
    setup.jobs.end(number, "output", [b"{}"])
    assert await run == b"{}"
    assert len(setup.jobs) == 0
    assert setup.jobs.only_job is None
    assert attempt.on_stop is None


async def test_an_ending_of_a_run_that_is_over_is_forgotten_and_a_wrong_one_refused() -> None:
    setup = Setup()
    _, run, number = await setup.start()
    with pytest.raises(ValueError, match="there is not"):
        setup.jobs.end(number, "nonsense", [])
    setup.jobs.end(number, "output", [b"1"])
    setup.jobs.end(number, "output", [b"2"])
    assert await run == b"1"
    setup.jobs.end(number, "output", [b"3"])
    setup.jobs.progress(number, b"{}")


async def test_progress_is_kept_for_the_heartbeat() -> None:
    setup = Setup()
    attempt, run, number = await setup.start()
    setup.jobs.progress(number, b'{"percent":5}')
    assert attempt.progress == b'{"percent":5}'
    setup.jobs.give_back()
    await run


async def test_a_handler_that_was_disturbed_has_failed_if_nobody_else_can_have_done_it() -> None:
    setup = Setup()
    _, run, number = await setup.start()
    setup.jobs.end(number, "disturbed", ["raised", "KeyboardInterrupt", "", ""])
    ended = await run
    assert isinstance(ended, HandlerFailed)
    assert (ended.title, str(ended)) == ("KeyboardInterrupt", "")


async def test_a_handler_that_was_disturbed_beside_others_goes_on_elsewhere() -> None:
    setup = Setup()
    _, disturbed, number = await setup.start()
    _, neighbour, other = await setup.start()
    setup.jobs.end(number, "disturbed", ["raised", "KeyboardInterrupt", "", ""])
    with pytest.raises(Interrupted):
        await disturbed
    setup.jobs.end(other, "output", [b"{}"])
    assert await neighbour == b"{}"


async def test_a_job_for_which_the_host_has_no_thread_goes_on_elsewhere() -> None:
    setup = Setup()
    _, run, number = await setup.start()
    setup.jobs.end(number, "not-begun", [])
    with pytest.raises(Interrupted):
        await run


async def test_the_only_job_of_a_host_that_died_is_charged() -> None:
    setup = Setup()
    _, run, _ = await setup.start()
    setup.jobs.lose("It was ended by SIGSEGV.", None)
    ended = await run
    assert (type(ended), str(ended)) == (ChildDied, "It was ended by SIGSEGV.")


async def test_of_several_jobs_none_is_charged_while_nobody_knows_which_it_was() -> None:
    setup = Setup()
    runs = [(await setup.start())[1] for _ in range(3)]
    setup.jobs.lose("It was ended by SIGSEGV.", None)
    ends = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(end) for end in ends] == [Interrupted] * 3


async def test_of_several_jobs_the_one_to_blame_goes_on_as_a_suspect_and_the_others_are_given_back() -> None:
    setup = Setup()
    _, first, _ = await setup.start()
    guilty, second, _ = await setup.start()
    setup.jobs.lose("The event loop was blocked.", guilty.job.id)
    given_back, suspect = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(given_back, Released)
    assert isinstance(suspect, Interrupted)
    assert suspect.suspected


async def test_a_job_that_was_to_stop_has_stopped_when_its_host_dies() -> None:
    setup = Setup()
    attempt, run, _ = await setup.start()
    attempt.lose_lease()
    setup.jobs.lose("It was ended by SIGKILL.", attempt.job.id)
    assert await run is attempt.stopped


async def test_what_a_host_has_already_ended_is_not_lost_with_it() -> None:
    setup = Setup()
    _, ended, number = await setup.start()
    _, left, _ = await setup.start()
    setup.jobs.end(number, "output", [b"{}"])
    setup.jobs.lose("It was ended by SIGKILL.", None)
    ends = await asyncio.gather(ended, left, return_exceptions=True)
    assert [type(end) for end in ends] == [bytes, Interrupted]


async def test_the_last_job_of_a_host_that_died_is_not_charged_for_what_an_earlier_one_may_have_left() -> (
    None
):
    setup = Setup()
    _, earlier, number = await setup.start()
    setup.jobs.end(number, "output", [b"{}"])
    await earlier
    _, left, _ = await setup.start()
    setup.jobs.lose("It ended with exit status 3.", None)
    with pytest.raises(Interrupted):
        await left


async def test_a_handler_that_was_disturbed_when_others_had_gone_goes_on_elsewhere() -> None:
    setup = Setup()
    _, earlier, number = await setup.start()
    _, disturbed, other = await setup.start()
    setup.jobs.end(number, "output", [b"{}"])
    await earlier
    setup.jobs.end(other, "disturbed", ["raised", "KeyboardInterrupt", "", ""])
    with pytest.raises(Interrupted):
        await disturbed


async def test_a_stop_asks_the_host_and_waits_for_the_end() -> None:
    setup = Setup(grace_s=600)
    attempt, run, number = await setup.start()
    attempt.cancel()
    assert setup.sent[1:] == [("cancel", number)]
    setup.jobs.end(number, "released", ["cancelled"])
    assert isinstance(await run, Released)
    assert setup.late == []


async def test_a_job_that_does_not_end_when_it_is_asked_to_is_given_up_after_its_grace() -> None:
    setup = Setup()
    attempt, run, _ = await setup.start()
    attempt.cancel()
    await run
    assert setup.late == [attempt]
    assert str(attempt.stopped) == "cancelled"


async def test_a_job_past_its_time_limit_and_its_grace_has_timed_out() -> None:
    setup = Setup()
    attempt, run, _ = await setup.start(timeout_s=0.01)
    await run
    assert setup.late == [attempt]
    assert isinstance(attempt.stopped, TimedOut)
    assert [word for word, *_ in setup.sent] == ["run"], "the host knows the limit itself"


async def test_a_job_whose_host_is_held_up_by_another_is_not_called_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.hosts.in_hand.AGAIN_S", 0.01)
    setup = Setup()
    setup.held_up = True
    attempt, run, _ = await setup.start(timeout_s=0.01)
    began = attempt.started
    await asyncio.sleep(0.1)
    assert attempt.started > began, "nor does the lease call it so"
    assert (setup.late, attempt.stopped, run.done()) == ([], None, False)
    setup.held_up, free = False, monotonic()
    await run
    assert setup.late == [attempt]
    assert monotonic() - free >= 0.01 + GRACE_S, "it may have begun only then"


async def test_a_job_whose_host_has_been_held_up_gets_its_time_once_more() -> None:
    setup = Setup()
    began = monotonic()
    attempt, run, _ = await setup.start(timeout_s=0.05)
    setup.held_up_s = 3.0
    await run
    assert setup.late == [attempt]
    assert monotonic() - began >= 2 * (0.05 + GRACE_S)
    assert attempt.started > began + 0.05, "the lease waits as long"


async def test_a_job_that_is_stopped_while_another_holds_up_its_host_is_let_go_and_not_called_late() -> None:
    setup = Setup()
    setup.held_up = True
    attempt, run, _ = await setup.start()
    attempt.stop(Released())
    assert isinstance(await run, Released)
    assert setup.late == []


async def test_a_death_is_not_charged_to_a_job_beside_which_a_handler_goes_on_that_is_over() -> None:
    setup = Setup()
    late, over, _ = await setup.start()
    _, neighbour, _ = await setup.start()
    late.cancel()
    await over
    setup.jobs.lose("It was ended by SIGSEGV.", None)
    with pytest.raises(Interrupted):
        await neighbour


async def test_a_job_is_not_charged_for_what_another_did_that_is_over() -> None:
    setup = Setup()
    _, neighbour, _ = await setup.start()
    setup.jobs.lose("The event loop was blocked.", "a job that was cancelled meanwhile")
    assert isinstance(await neighbour, Released)


async def test_a_job_with_a_slot_to_itself_is_killed_at_once() -> None:
    setup = Setup(alone=True, grace_s=0)
    attempt, run, _ = await setup.start()
    attempt.stop(Released())
    assert (setup.kills, setup.late, [word for word, *_ in setup.sent]) == (1, [], ["run"])
    setup.jobs.lose("It was ended by SIGKILL.", None)
    assert await run is attempt.stopped


async def test_a_job_with_a_slot_to_itself_is_killed_at_its_time_limit() -> None:
    setup = Setup(alone=True, grace_s=0)
    setup.held_up = True
    attempt, run, _ = await setup.start(timeout_s=0.01)
    await until(lambda: setup.kills)
    assert isinstance(attempt.stopped, TimedOut)
    setup.jobs.lose("It was ended by SIGKILL.", None)
    assert await run is attempt.stopped


async def test_a_job_that_has_a_loop_to_itself_is_asked_first_and_killed_after_its_grace() -> None:
    setup = Setup(alone=True)
    setup.held_up = True
    attempt, run, number = await setup.start()
    attempt.cancel()
    assert (setup.kills, setup.sent[1:]) == (0, [("cancel", number)])
    await until(lambda: setup.kills)
    setup.jobs.lose("It was ended by SIGKILL.", None)
    assert await run is attempt.stopped
    assert setup.late == [], "no neighbour needs another host"


async def test_jobs_of_a_host_that_is_replaced_are_given_back() -> None:
    setup = Setup()
    attempt, run, _ = await setup.start()
    setup.jobs.give_back()
    assert isinstance(await run, Released)
    assert attempt.stopped is None


async def test_a_run_that_is_cancelled_here_is_ended_there() -> None:
    setup = Setup()
    attempt, run, number = await setup.start()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert setup.sent[1:] == [("cancel", number)]
    assert (attempt.on_stop, len(setup.jobs)) == (None, 0)


async def test_a_run_in_a_slot_that_is_cancelled_here_is_killed_there() -> None:
    setup = Setup(alone=True, grace_s=0)
    _, run, _ = await setup.start()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert setup.kills == 1


async def test_a_job_in_hand_is_known_by_its_kind() -> None:
    setup = Setup()
    attempt, run, _ = await setup.start()
    assert (setup.jobs.kind_of(attempt.job.id), setup.jobs.kind_of("another")) == ("t.nap", "")
    setup.jobs.give_back()
    await run


LOOP = """\
Current thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3/threading.py", line 5 in wait
{frame}  File "/srv/sluice/host/serving.py", line 137 in _run
"""
FRAME = '  File "{file}", line {line} in {function}\n'
THREAD = "Thread 0x00007f2 (most recent call first):\n" + FRAME


async def find_blocker(handlers: list[AnyHandler], dump: str) -> str | None:
    """The kind of the job that is found on a stack, while jobs of these kinds are in hand."""
    setup = Setup()
    runs = [await setup.start(handler) for handler in handlers]
    job_id = setup.jobs.find_on_stack(dump, [kinds.__file__])
    kind = None if job_id is None else setup.jobs.kind_of(job_id)
    setup.jobs.give_back()
    await asyncio.gather(*(run for _, run, _ in runs))
    return kind


def frame_of(function: str) -> str:
    """A line of a stack on which a function stands."""
    return FRAME.format(file=kinds.__file__, line=7, function=function)


IN_THREAD = THREAD.format(file=kinds.__file__, line=9, function="in_thread")


@pytest.mark.parametrize(
    ("dump", "found"),
    [
        (LOOP.format(frame=frame_of("block")), "t.block"),
        (IN_THREAD + LOOP.format(frame=frame_of("block")), "t.block"),
        (IN_THREAD + LOOP.format(frame=frame_of("of_nobody")), None),
        (IN_THREAD + LOOP.format(frame=""), "t.thread"),
        (IN_THREAD, "t.thread"),
        (LOOP.format(frame=frame_of("block") + frame_of("echo")), None),
        ("", None),
    ],
    ids=["in the loop", "a thread beside it", "a callback", "a thread alone", "cut off", "two", "nothing"],
)
async def test_the_job_that_blocks_is_found_on_the_stack_of_the_loop_or_else_of_threads(
    dump: str, found: str | None
) -> None:
    assert await find_blocker([kinds.block, kinds.echo, kinds.in_thread], dump) == found


async def test_of_two_jobs_of_one_kind_none_is_named() -> None:
    assert await find_blocker([kinds.block, kinds.block], LOOP.format(frame=frame_of("block"))) is None


def a_line(of: Attempt, **fields: Any) -> LogLine:
    """A line that names this attempt."""
    named: dict[str, Any] = {"job_id": of.job.id, "kind": of.job.kind, "attempt": of.job.attempt}
    return LogLine(20, "sluice.handler", "read", named | fields)


async def test_a_line_is_kept_with_the_attempt_that_it_names() -> None:
    setup = Setup()
    (first, one, _), (second, two, _) = await setup.start(), await setup.start(attempt=2)
    setup.jobs.add_line(a_line(second))
    setup.jobs.add_line(a_line(second, attempt=1))
    setup.jobs.add_line(a_line(second, job_id="another"))
    setup.jobs.add_line(LogLine(20, "sluice.handler", "of nobody", {}))
    assert first.log is None
    assert second.log is not None
    assert len(second.log) == 1
    for run in (one, two):
        run.cancel()
    await asyncio.wait([one, two])
    setup.jobs.add_line(a_line(second))
    assert len(second.log) == 1
