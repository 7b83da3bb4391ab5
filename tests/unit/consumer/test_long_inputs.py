"""Long inputs are read when their jobs start: a few at a time, and none for a host that has not taken the one before."""

from __future__ import annotations

import asyncio
import os
import signal

from consumer.attempt import Attempt
from consumer.long_inputs import AT_ONCE, LongInputs
from sluice.core.catalogue import describe
from sluice.core.errors import Overloaded
from sluice.core.outcome import Released
from tests.support.fake_record import FakeRecord
from tests.support.faulty_store import FaultyStore, Gate, refused
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.real_hosts import is_under_way, pid_of, running_hosts
from tests.unit.consumer.make_attempts import a_job

LONG = b'{"seconds":0,"mark":"","how":"%s"}' % (b"x" * (4 << 20))


class Inputs:
    """Jobs with long inputs, and those who read them."""

    def __init__(self) -> None:
        self.store = FaultyStore(FakeRecord())
        self.inputs = LongInputs(self.store.port, pause_s=0)
        self.room = asyncio.Event()
        self.room.set()

    def attempt(self, given: bytes = LONG) -> Attempt:
        job = a_job(kinds.nap, input=given)
        self.store.record.add(job)
        return Attempt(job._replace(input=None), describe(kinds.nap), self.inputs.read)

    def start(self, attempt: Attempt) -> asyncio.Task[bool]:
        return asyncio.create_task(attempt.fetch_input(self.room))


async def test_a_few_are_read_at_once() -> None:
    inputs, gates = Inputs(), [Gate() for _ in range(AT_ONCE + 1)]
    inputs.store.script["read_input"].extend(gates)
    reads = [inputs.start(inputs.attempt()) for _ in gates]
    await asyncio.gather(*(gate.reached.wait() for gate in gates[:AT_ONCE]))
    assert not gates[AT_ONCE].reached.is_set()
    gates[0].open.set()
    await gates[AT_ONCE].reached.wait()
    for gate in gates:
        gate.open.set()
    assert all(await asyncio.gather(*reads))


async def test_none_is_read_before_there_is_room_and_the_record_is_asked_until_it_answers() -> None:
    inputs = Inputs()
    attempt = inputs.attempt()
    inputs.room.clear()
    inputs.store.script["read_input"].extend([refused(), refused(Overloaded())])
    reading = inputs.start(attempt)
    await until(lambda: attempt.waiting)
    assert inputs.store.calls["read_input"] == 0
    inputs.room.set()
    assert await reading
    assert (attempt.job.input, inputs.store.calls["read_input"]) == (LONG, 3)


async def test_an_attempt_that_is_stopped_meanwhile_reads_no_more() -> None:
    inputs, gate = Inputs(), Gate()
    inputs.store.script["read_input"].append(gate)
    attempt = inputs.attempt()
    reading = inputs.start(attempt)
    await gate.reached.wait()
    attempt.stop(Released())
    assert not await reading
    assert attempt.job.input is None


async def test_an_input_is_let_go_once_it_was_sent_and_read_again_if_its_host_is_lost() -> None:
    inputs = Inputs()
    async with running_hosts() as real:
        attempts = [inputs.attempt(given=LONG.replace(b":0", b":0.3")) for _ in range(2)]
        runs = [asyncio.create_task(real.finish(attempt)) for attempt in attempts]
        await until(lambda: all(map(is_under_way, attempts)))
        assert [attempt.job.input for attempt in attempts] == [None, None]
        os.kill(pid_of(real.shared), signal.SIGKILL)
        assert await asyncio.gather(*runs) == [b'{"value":"slept"}'] * 2
    assert inputs.store.calls["read_input"] == 4


async def test_nothing_is_read_for_a_host_that_has_not_taken_the_input_before() -> None:
    inputs, gate = Inputs(), Gate()
    async with running_hosts(blocked_s=60) as real:
        os.kill(pid_of(real.shared), signal.SIGSTOP)
        first, second = inputs.attempt(), inputs.attempt()
        run = asyncio.create_task(real.finish(first))
        await until(lambda: is_under_way(first) and not real.shared.room.is_set())
        inputs.store.script["read_input"].append(gate)
        other = asyncio.create_task(real.finish(second))
        await until(lambda: second.waiting)
        assert not gate.reached.is_set()
        os.kill(pid_of(real.shared), signal.SIGCONT)
        await gate.reached.wait()
        gate.open.set()
        assert [await run, await other] == [b'{"value":"slept"}'] * 2
