"""Leases over a record in memory that can refuse, forget, freeze and ask for a cancel."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
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
    """The consumer's side: what it was told."""

    def __init__(self) -> None:
        self.lost: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.moved: list[dict[str, int]] = []
        self.told = asyncio.Event()

    def on_lost(self, attempt: Attempt) -> None:
        """A lease was lost."""
        self.lost.append(attempt)
        self.told.set()

    def on_cancel(self, attempt: Attempt) -> None:
        """A client asked to cancel."""
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
    usual: dict[str, Any] = {"lease_s": 5.0, "beat_s": 0.02, "spare_s": 5.0}
    leases = Leases(
        record.open,
        on_lost=flow.on_lost,
        on_cancel=flow.on_cancel,
        on_moved=flow.moved.append,
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
    await until(lambda: len(record.beats) > seen + count)
    return record.beats[seen + 1 :]


def answer_late(record: FakeHeartbeatStore, go_on: asyncio.Event) -> None:
    """Let the record renew at once, and answer when it may."""
    really = record.beat

    async def slow(held: Sequence[tuple[Claim, bytes | None]]) -> list[Beat]:
        beats = await really(held)
        await go_on.wait()
        return beats

    record.beat = slow  # type: ignore[method-assign]  # a record that answers late


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
        attempt.report(b'{"percent":10}')
        await next_beats(record)
        attempt.report(b'{"percent":20}')
        await next_beats(record)
    sent = [beat[attempt.claim] for beat in record.beats if beat[attempt.claim]]
    assert sent == [b'{"percent":10}', b'{"percent":20}']
    assert flow.moved == [{attempt.job.id: 3}, {attempt.job.id: 4}]


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
    attempt, go_on = an_attempt(kinds.nap), asyncio.Event()
    record.lost.add(attempt.claim)
    answer_late(record, go_on)
    async with started(record, flow) as leases:
        leases.hold(attempt)
        await until(lambda: record.beats)
        leases.drop(attempt)
        go_on.set()
        leases.hold(an_attempt(kinds.nap))
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
    attempt, go_on = an_attempt(kinds.nap), asyncio.Event()
    answer_late(record, go_on)
    async with started(record, flow, beat_s=60, lease_s=300) as leases:
        leases.hold(attempt)
        await until(lambda: record.beats)
        record.cancelled.add(attempt.claim)
        leases.beat_soon(attempt.job.id)
        go_on.set()
        await asyncio.wait_for(flow.told.wait(), 10)
    assert flow.cancelled == [attempt]


async def test_progress_brings_the_next_beat_soon(record: FakeHeartbeatStore, flow: Flow) -> None:
    attempt = an_attempt(kinds.nap)
    async with started(record, flow, beat_s=60, lease_s=300) as leases:
        leases.hold(attempt)
        await until(lambda: record.beats)
        attempt.report(b"{}")
        await until(lambda: flow.moved, within_s=10)
    assert record.beats[-1] == {attempt.claim: b"{}"}


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
    async with started(record, flow, lease_s=0.3, spare_s=0.05) as leases:
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
    async with started(record, flow, lease_s=0.2, spare_s=0.01) as leases:
        leases.hold(attempt)
        await next_beats(record, 15)
        assert flow.lost == []
        attempt.waiting = False
        attempt.begin(lambda: None)
        await flow.told.wait()
    assert flow.lost == [attempt]


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
    import asyncio
    from consumer.lease import Leases
    from tests.unit.consumer import hostile_kinds as kinds
    from tests.unit.consumer.make_attempts import an_attempt
    from tests.support.fake_heartbeat_store import FakeHeartbeatStore

    async def main():
        tell = lambda attempt: print("lost", flush=True)
        leases = Leases(FakeHeartbeatStore().open, lease_s=0.5, beat_s=0.05, spare_s=0.1, on_lost=tell, on_cancel=tell)
        leases.start()
        leases.hold(an_attempt(kinds.nap, timeout_s=60))
        print("held", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


def test_a_process_that_was_frozen_past_its_lease_gives_it_up_and_lives() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS)],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "lost\n"
        assert process.poll() is None
        process.kill()
