"""Leases over a record in memory that can refuse, forget, freeze and ask for a cancel."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from consumer.attempt import Attempt
from consumer.lease import Leases
from sluice.core.job import Claim
from sluice.core.ports import Beat
from tests.support.fake_heartbeat_store import FakeHeartbeatStore
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt


class Flow:
    """The consumer's side: what it was told in the event loop."""

    def __init__(self) -> None:
        self.lost: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.told = asyncio.Event()
        self.ended_hard = threading.Event()

    def on_lost(self, attempt: Attempt) -> None:
        """A lease was lost."""
        asyncio.get_running_loop()
        self.lost.append(attempt)
        self.told.set()

    def on_cancel(self, attempt: Attempt) -> None:
        """A client asked to cancel."""
        asyncio.get_running_loop()
        self.cancelled.append(attempt)
        self.told.set()


@pytest.fixture
def record() -> FakeHeartbeatStore:
    return FakeHeartbeatStore()


@pytest.fixture
async def flow() -> Flow:
    return Flow()


@asynccontextmanager
async def started(record: FakeHeartbeatStore, flow: Flow, **durations: Any) -> AsyncIterator[Leases]:
    """Leases that beat."""
    usual: dict[str, Any] = {"lease_s": 5.0, "beat_s": 0.02, "grace_s": 5.0, "silence_s": 5.0}
    leases = Leases(
        record.open,
        loop=asyncio.get_running_loop(),
        on_lost=flow.on_lost,
        on_cancel=flow.on_cancel,
        exit_hard=flow.ended_hard.set,
        **(usual | durations),
    )
    leases.start()
    try:
        yield leases
    finally:
        await leases.close()


async def next_beats(record: FakeHeartbeatStore, count: int = 1) -> list[dict[Claim, bytes | None]]:
    """So many beats that begin after now."""
    seen = len(record.beats)
    while len(record.beats) < seen + count + 1:
        record.beaten.clear()
        await asyncio.to_thread(record.beaten.wait, 10)
    return record.beats[seen + 1 :]


async def test_one_heartbeat_renews_everything_in_hand(record: FakeHeartbeatStore, flow: Flow) -> None:
    attempts = [an_attempt(kinds.nap) for _ in range(3)]
    async with started(record, flow) as leases:
        for attempt in attempts:
            leases.hold(attempt)
        beats = await next_beats(record)
        leases.drop(attempts[0])
        later = await next_beats(record)
        assert repr(leases) == "<Leases: 2 held>"
    assert beats[0].keys() == {attempt.claim for attempt in attempts}
    assert later[0].keys() == {attempt.claim for attempt in attempts[1:]}
    assert flow.lost == []
    assert record.closed == record.opened == 1


async def test_the_record_is_left_alone_while_nothing_is_in_hand(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    async with started(record, flow):
        await asyncio.sleep(0.1)
    assert record.opened == 0


async def test_progress_is_sent_once_and_only_while_it_is_new(record: FakeHeartbeatStore, flow: Flow) -> None:
    attempt = an_attempt(kinds.nap)
    async with started(record, flow) as leases:
        leases.hold(attempt)
        await next_beats(record)
        attempt.report(10, "one")
        await next_beats(record)
        attempt.report(20, "two")
        await next_beats(record)
    sent = [beat[attempt.claim] for beat in record.beats if beat[attempt.claim]]
    assert sent == [b'{"percent":10,"note":"one"}', b'{"percent":20,"note":"two"}']


async def test_a_claim_that_the_record_does_not_know_any_more_is_lost_once(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    lost, kept = an_attempt(kinds.nap), an_attempt(kinds.nap)
    record.lost.add(lost.claim)
    async with started(record, flow) as leases:
        leases.hold(lost)
        leases.hold(kept)
        await flow.told.wait()
        later = await next_beats(record, 2)
    assert flow.lost == [lost]
    assert later[-1].keys() == {kept.claim}


async def test_what_was_settled_while_the_beat_was_under_way_is_not_lost(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt, other = an_attempt(kinds.nap), an_attempt(kinds.nap)
    async with started(record, flow) as leases:
        leases.hold(other)
        leases.hold(attempt)
        record.lost.add(attempt.claim)
        record.beaten.clear()
        while not any(attempt.claim in beat for beat in record.beats):
            time.sleep(0.001)  # noqa: ASYNC251  the loop must not hear of it yet
        leases.drop(attempt)
        await next_beats(record)
    assert flow.lost == []


async def test_a_cancel_is_told_once(record: FakeHeartbeatStore, flow: Flow) -> None:
    attempt = an_attempt(kinds.nap)
    record.cancelled.add(attempt.claim)
    async with started(record, flow) as leases:
        leases.hold(attempt)
        await flow.told.wait()
        await next_beats(record, 2)
    assert flow.cancelled == [attempt]
    assert flow.lost == []


async def test_a_stop_that_is_asked_for_brings_the_next_beat_at_once(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap)
    async with started(record, flow, beat_s=60, lease_s=300) as leases:
        leases.hold(attempt)
        leases.beat_soon("of somebody else")
        while not record.beats:  # the first beat found nothing in hand
            leases.beat_soon(attempt.job.id)
            await asyncio.sleep(0.001)
        record.cancelled.add(attempt.claim)
        leases.beat_soon(attempt.job.id)
        await asyncio.wait_for(flow.told.wait(), 10)
    assert flow.cancelled == [attempt]


async def test_a_stop_that_is_asked_for_during_a_beat_brings_another(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap)
    answered, go_on = threading.Event(), threading.Event()
    really = record.beat

    async def slow(held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        beats = await really(held)  # the record has answered before the cancel
        answered.set()
        await asyncio.to_thread(go_on.wait, 10)
        return beats

    async with started(record, flow, beat_s=60, lease_s=300) as leases:
        record.beat = slow  # type: ignore[method-assign]  # a record that answers late
        leases.hold(attempt)
        while not answered.is_set():
            leases.beat_soon(attempt.job.id)
            await asyncio.sleep(0.001)
        record.cancelled.add(attempt.claim)
        leases.beat_soon(attempt.job.id)
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(flow.told.wait(), 10)
    assert flow.cancelled == [attempt]


async def test_a_stop_after_the_end_is_harmless(record: FakeHeartbeatStore, flow: Flow) -> None:
    async with started(record, flow) as leases:
        leases.hold(an_attempt(kinds.nap))
    leases.beat_soon(next(iter(leases._held)).id)


async def test_a_failed_beat_is_retried_sooner_and_over_a_new_connection(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap)
    record.away = True
    async with started(record, flow, beat_s=0.5, lease_s=60) as leases:
        leases.hold(attempt)
        began = time.monotonic()
        await until(lambda: record.opened >= 3)
        assert time.monotonic() - began < 0.9
        record.away = False
        await until(lambda: record.beats)
    assert record.closed == record.opened
    assert flow.lost == []


@pytest.mark.parametrize("how", ["away", "frozen"])
async def test_a_claim_that_cannot_be_renewed_is_given_up_before_the_record_does(
    record: FakeHeartbeatStore, flow: Flow, how: str
) -> None:
    attempt = an_attempt(kinds.nap)
    async with started(record, flow, lease_s=0.5, beat_s=0.1) as leases:
        leases.hold(attempt)
        await next_beats(record)
        setattr(record, how, True)
        last = time.monotonic()
        await flow.told.wait()
        took = time.monotonic() - last
    assert flow.lost == [attempt]
    assert 0.2 < took < 0.5


async def test_a_claim_that_was_not_renewed_in_time_is_not_renewed_late(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    late, kept = an_attempt(kinds.nap), an_attempt(kinds.nap)
    async with started(record, flow) as leases:
        await leases.close()  # the beat is made by hand, for a frozen process may wake up in it
        leases.hold(late)
        leases.hold(kept)
        leases._held[late.claim].renewed -= 4.1
        assert await leases._beat_once()
    assert [beat.keys() for beat in record.beats] == [{kept.claim}]


async def test_an_attempt_is_renewed_only_until_its_time_is_over(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    brief, long = an_attempt(kinds.nap, timeout_s=0.05), an_attempt(kinds.nap)
    async with started(record, flow, lease_s=0.3, grace_s=0.05) as leases:
        leases.hold(brief)
        leases.hold(long)
        await flow.told.wait()
        later = await next_beats(record)
    assert flow.lost == [brief]
    assert later[0].keys() == {long.claim}


async def test_an_attempt_that_waits_its_turn_is_renewed_however_long(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap, timeout_s=0.01)
    attempt.waiting = True
    async with started(record, flow, lease_s=0.2, grace_s=0.01) as leases:
        leases.hold(attempt)
        await next_beats(record, 15)
        assert flow.lost == []
        attempt.begin()
        await flow.told.wait()
    assert flow.lost == [attempt]


async def test_claims_stay_alive_while_a_handler_blocks_the_loop(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap)
    async with started(record, flow, lease_s=0.2, silence_s=0.1) as leases:
        leases.hold(attempt)
        time.sleep(0.6)  # noqa: ASYNC251  as a handler might
        beats = len(record.beats)
        await asyncio.sleep(0.05)
    assert beats > 10
    assert flow.lost == []
    assert not flow.ended_hard.is_set()


async def test_a_loop_that_is_silent_beyond_the_time_of_its_work_ends_the_process(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap, timeout_s=0.1)
    async with started(record, flow, grace_s=0.1, silence_s=0.2) as leases:
        leases.hold(attempt)
        assert flow.ended_hard.wait(10)
        took = time.monotonic() - attempt.started
    assert took > 0.3  # time limit + grace + silence, less what the ticks round off


async def test_an_idle_loop_that_falls_silent_ends_the_process(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    async with started(record, flow, silence_s=0.1):
        assert flow.ended_hard.wait(10)


async def test_a_waiting_attempt_does_not_excuse_a_silent_loop(
    record: FakeHeartbeatStore, flow: Flow
) -> None:
    attempt = an_attempt(kinds.nap)
    attempt.waiting = True
    async with started(record, flow, silence_s=0.1) as leases:
        leases.hold(attempt)
        assert flow.ended_hard.wait(10)


async def test_leases_that_fail_themselves_end_the_process(record: FakeHeartbeatStore, flow: Flow) -> None:
    broken: Any = None
    async with started(record, flow) as leases:
        leases._held = broken
        assert await asyncio.to_thread(flow.ended_hard.wait, 10)


async def test_closing_before_the_start_and_twice_is_harmless(record: FakeHeartbeatStore, flow: Flow) -> None:
    async with started(record, flow) as leases:
        await leases.close()
    await leases.close()


async def test_closing_does_not_wait_for_a_frozen_record(record: FakeHeartbeatStore, flow: Flow) -> None:
    record.frozen = True
    async with started(record, flow, beat_s=0.1) as leases:
        leases.hold(an_attempt(kinds.nap))
        await until(lambda: record.opened)
        began = time.monotonic()
    assert time.monotonic() - began < 1


PROCESS = """
    import asyncio, sys, time
    from consumer.lease import Leases
    from tests.unit.consumer import hostile_kinds as kinds
    from tests.unit.consumer.make_attempts import an_attempt
    from tests.support.fake_heartbeat_store import FakeHeartbeatStore

    async def main():
        tell = lambda attempt: print("lost", flush=True)
        leases = Leases(FakeHeartbeatStore().open, lease_s=LEASE, beat_s=0.05, grace_s=0.1, silence_s=0.3,
                        loop=asyncio.get_running_loop(), on_lost=tell, on_cancel=tell)
        leases.start()
        leases.hold(an_attempt(kinds.nap, timeout_s=LIMIT))
        print("held", flush=True)
        if sys.argv[1] == "block":
            time.sleep(60)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


def a_process(tmp_path: Path, how: str, lease_s: float, limit_s: float) -> "subprocess.Popen[str]":
    """A consumer that holds one lease."""
    script = tmp_path / "holder.py"
    script.write_text(textwrap.dedent(PROCESS).replace("LEASE", str(lease_s)).replace("LIMIT", str(limit_s)))
    return subprocess.Popen(
        [sys.executable, str(script), how],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_blocked_process_really_ends_and_says_where_it_was_blocked(tmp_path: Path) -> None:
    with a_process(tmp_path, "block", lease_s=15, limit_s=0.1) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 70
    assert out == "held\n"
    assert "holder.py" in err
    assert "silent" in err


def test_a_process_that_was_frozen_past_its_lease_gives_it_up_and_lives(tmp_path: Path) -> None:
    with a_process(tmp_path, "wait", lease_s=0.5, limit_s=60) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "lost\n"
        assert process.poll() is None
        process.kill()
