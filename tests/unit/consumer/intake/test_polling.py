"""Pulling over a record that fails on demand: when it begins and ends, whose slots it takes, what becomes of lost replies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consumer import execution as execution_module
from consumer.intake import polling as pulling_module
from consumer.intake.polling import FallbackPoller
from sluice.core.job import JobState
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.faulty_store import Gate, lost, refused
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.test_execution import AT_WORK, DOORS, Room

AFTER_S = 10.0


class Pulled(Room):
    """The work room without servers, and without RabbitMQ for `silent_s` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.silent_s = 0.0
        self.poller = FallbackPoller(
            self.execution, self.store.port, ["t.work"], Telemetry(self.events), lambda: self.silent_s, AFTER_S
        )  # fmt: skip
        self.tasks = [
            asyncio.create_task(self.poller.serve(self.queue)),
            asyncio.create_task(self.poller.watch()),
        ]

    async def begin(self) -> None:
        """RabbitMQ goes away."""
        self.silent_s = AFTER_S
        await until(lambda: self.poller.on)

    async def end(self) -> None:
        """RabbitMQ comes back."""
        self.silent_s = 0.0
        await until(lambda: not self.poller.on)

    async def looks(self, count: int) -> None:
        """Return once it has looked so often and waits again."""
        await self.store.called("pull", count)
        await until(lambda: not self.queue.claiming.locked())
        await _turns()

    async def call_until(self, state: str, *ids: str) -> None:
        """Call for pulls until these jobs have come so far."""
        while {self.state(each) for each in ids} != {state}:
            self.poller.call()
            await asyncio.sleep(0.001)

    def close_lane(self) -> None:
        """As a consumer does that stops."""
        self.queue.close()
        self.poller.call()

    async def close(self) -> None:
        self.close_lane()
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        await super().close()


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pulled]:
    """A work room in which only a call ends a rest."""
    monkeypatch.setattr(execution_module, "PAUSE_S", 0)
    monkeypatch.setattr(pulling_module, "PAUSE_S", 0)
    monkeypatch.setattr(pulling_module, "WATCH_S", 0.001)
    monkeypatch.setattr(pulling_module, "REST_S", (3600, 3600))
    DOORS.clear()
    AT_WORK.clear()
    room = Pulled()
    try:
        yield room
    finally:
        await asyncio.wait_for(room.close(), 5)


async def test_a_job_without_a_hint_goes_all_the_way_and_is_counted_as_pulled(room: Pulled) -> None:
    job_id = room.job()
    await room.begin()
    await until(lambda: room.state(job_id) == "succeeded")
    await room.settled()
    assert room.cache.announced == [{job_id: 2}, {job_id: 3}]
    seen = {event: room.events.count(event) for event in Event if room.events.count(event)}
    assert seen == dict.fromkeys([Event.PULLING_STARTED, Event.CLAIMED, Event.PULLED, Event.SUCCEEDED], 1)
    assert (room.queue.busy, room.leases.held) == (0, [])


async def test_nothing_is_pulled_until_rabbitmq_was_away_for_long_enough(room: Pulled) -> None:
    job_id = room.job()
    room.silent_s = AFTER_S - 0.1
    room.poller.call()
    await asyncio.sleep(0.02)
    assert (room.state(job_id), room.store.calls["pull"], repr(room.poller)) == (
        "queued",
        0,
        "<Pulling off>",
    )


async def test_it_goes_back_by_itself_and_says_each_change_once(room: Pulled) -> None:
    await room.begin()
    await room.looks(1)
    await room.end()
    job_id, looks = room.job(), room.store.calls["pull"]
    room.poller.call()
    await asyncio.sleep(0.02)
    assert (room.state(job_id), room.store.calls["pull"]) == ("queued", looks)
    assert (room.events.count(Event.PULLING_STARTED), room.events.count(Event.PULLING_ENDED)) == (1, 1)
    await room.begin()
    await until(lambda: room.state(job_id) == "succeeded")
    assert (room.events.count(Event.PULLING_STARTED), repr(room.poller)) == (2, "<Pulling on>")


async def test_a_record_with_less_than_there_are_slots_is_left_alone_until_it_is_called_for(
    room: Pulled,
) -> None:
    await room.begin()
    await room.looks(1)
    job_id = room.job()
    await asyncio.sleep(0.02)
    assert (room.state(job_id), room.store.calls["pull"]) == ("queued", 1)
    room.poller.call("heavy")
    await asyncio.sleep(0.02)
    assert room.state(job_id) == "queued"
    room.poller.call("default")
    await until(lambda: room.state(job_id) == "succeeded")


async def test_what_is_queued_while_a_look_is_under_way_is_not_missed(room: Pulled) -> None:
    gate = Gate()
    room.script["pull"].append(lambda call: _after(call, gate))
    await room.begin()
    await gate.reached.wait()
    job_id = room.job()
    room.poller.call()
    gate.open.set()
    await until(lambda: room.state(job_id) == "succeeded")


async def test_without_a_call_the_record_is_looked_at_again_before_long(
    room: Pulled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling_module, "REST_S", (0.001, 0.002))
    await room.begin()
    await room.looks(1)
    job_id = room.job()
    await until(lambda: room.state(job_id) == "succeeded")


async def test_a_slot_that_comes_free_is_filled_at_once_and_never_more_jobs_run_than_there_are_slots(
    room: Pulled,
) -> None:
    ids = [room.job(f"door {number}", queued_at=AT + timedelta(seconds=number)) for number in range(12)]
    await room.begin()
    for number in range(12):
        running = min(4, 12 - number)
        await until(lambda: len(AT_WORK) - number >= running)  # noqa: B023  it is awaited here
        assert AT_WORK[number] == f"door {number}", "the oldest first"
        assert len(AT_WORK) - number == running
        assert sum(room.state(each) == "running" for each in ids) <= 4
        DOORS[f"door {number}"].set()
    await until(lambda: room.events.count(Event.SUCCEEDED) == 12)
    await until(lambda: room.queue.busy == 0)


async def test_slots_that_come_free_one_by_one_are_shared_by_priority(room: Pulled) -> None:
    for _ in range(20):
        for priority in ("high", "normal", "low", "overflow"):
            room.job(priority=priority)
    room.queue.lane = Lane("default", 1, 16)
    await room.begin()
    await until(lambda: room.events.count(Event.SUCCEEDED) == 80)
    await room.settled()
    begun = [each for told in room.cache.announced for each, version in told.items() if version == 2]
    first = Counter(room.record.jobs[each].priority for each in begun[:28])
    assert first == {"high": 16, "normal": 8, "low": 2, "overflow": 2}


async def test_a_hint_for_a_job_that_was_pulled_is_void(room: Pulled) -> None:
    job_id = room.job("shut")
    await room.begin()
    await until(lambda: AT_WORK == ["shut"])
    delivery = room.bring(job_id)
    await until(lambda: delivery.acknowledged)
    assert (room.events.count(Event.VOID), room.queue.busy, AT_WORK) == (1, 1, ["shut"])


async def test_deliveries_that_come_back_in_the_middle_of_a_pull_oversubscribe_nothing(room: Pulled) -> None:
    gate = Gate()
    room.script["pull"].append(gate)
    pulled, hinted = [room.job("shut") for _ in range(4)], [room.job("shut", lane="other") for _ in range(4)]
    await room.begin()
    await gate.reached.wait()
    room.bring(*hinted)
    await room.end()
    await _turns()
    assert room.queue.busy == 4, "the slots of the pull that is under way"
    gate.open.set()
    await until(lambda: len(AT_WORK) == 4)
    assert [room.state(each) for each in pulled + hinted] == ["running"] * 4 + ["queued"] * 4
    DOORS["shut"].set()
    await until(lambda: room.events.count(Event.SUCCEEDED) == 8)


async def test_nothing_is_pulled_for_a_slot_that_comes_free_after_rabbitmq_is_back(room: Pulled) -> None:
    ids = [room.job("shut", queued_at=AT) for _ in range(4)]
    await room.begin()
    await until(lambda: len(AT_WORK) == 4)
    later = room.job(queued_at=AT + timedelta(seconds=1))
    await room.end()
    DOORS["shut"].set()
    await until(lambda: room.queue.busy == 0)
    await room.settled()
    assert ({room.state(each) for each in ids}, room.state(later)) == ({"succeeded"}, "queued")


async def test_a_pull_whose_reply_was_lost_is_found_under_our_name_and_runs_once(room: Pulled) -> None:
    room.script["pull"].append(lost())
    ids = [room.job("shut") for _ in range(3)]
    await room.begin()
    await until(lambda: len(AT_WORK) == 3)
    DOORS["shut"].set()
    await until(lambda: room.events.count(Event.SUCCEEDED) == 3)
    assert [room.record.jobs[each].fence for each in ids] == [1, 1, 1]
    assert (room.events.count(Event.PULLED), room.queue.busy) == (3, 0)


async def test_what_is_in_hand_is_not_taken_for_a_lost_pull(room: Pulled) -> None:
    running = room.job("shut")
    await room.begin()
    await until(lambda: AT_WORK == ["shut"])
    room.script["pull"].append(lost())
    room.script["recover_lane_claims"].append(refused())
    other = room.job("open")
    room.poller.call()
    await until(lambda: AT_WORK == ["shut", "open"])
    assert len(room.leases.held) == 2
    assert [room.state(each) for each in (running, other)] == ["running", "running"]


async def test_a_new_claim_of_a_job_whose_old_one_is_still_in_hand_is_found(room: Pulled) -> None:
    job_id = room.job("shut")
    await room.begin()
    await until(lambda: AT_WORK == ["shut"])
    room.record.add(room.record.jobs[job_id], state=JobState.QUEUED)  # the lease ran out, the keeper came by
    room.script["pull"].append(lost())
    room.poller.call()
    await until(lambda: AT_WORK == ["shut", "shut"])
    assert [each.fence for each in sorted(room.execution.in_hand)] == [1, 2]


async def test_a_job_that_ends_while_lost_pulls_are_looked_for_does_not_begin_anew(room: Pulled) -> None:
    gate = Gate()
    job_id = room.job("shut")
    await room.begin()
    await until(lambda: AT_WORK == ["shut"])
    room.script["pull"].append(lost())
    room.script["recover_lane_claims"].append(lambda call: _after(call, gate))
    room.poller.call()
    await gate.reached.wait()
    DOORS["shut"].set()
    await until(lambda: room.state(job_id) == "succeeded" and not len(room.execution))
    gate.open.set()
    await room.looks(2)
    assert (AT_WORK, room.events.count(Event.STALE)) == (["shut"], 0)


async def test_a_hint_that_is_just_being_claimed_is_not_taken_for_a_lost_pull(room: Pulled) -> None:
    gate = Gate()
    room.script["claim"].append(lambda call: _after(call, gate))
    room.script["pull"].append(lost())
    job_id = room.job("shut")
    room.bring(job_id)
    await gate.reached.wait()
    assert room.state(job_id) == "running", "the record has it, this process not yet"
    await room.begin()
    await _turns()
    gate.open.set()
    await room.looks(1)
    await until(lambda: AT_WORK)
    assert (AT_WORK, len(room.leases.held), room.events.count(Event.PULLED)) == (["shut"], 1, 0)


async def test_a_lost_pull_never_takes_more_than_the_slots_it_had(room: Pulled) -> None:
    for _ in range(9):
        room.record.owned.add(room.job("shut", state=JobState.RUNNING, fence=1))
    room.script["pull"].append(refused())
    await room.begin()
    await until(lambda: len(AT_WORK) == 4)
    await _turns()
    assert (len(AT_WORK), room.queue.busy) == (4, 4)


async def test_a_record_that_is_away_is_asked_until_it_is_back(room: Pulled) -> None:
    room.script["pull"].append(refused())
    room.script["recover_lane_claims"] += [refused(), refused(RuntimeError("in tongues"))]
    job_id = room.job()
    await room.begin()
    await room.call_until("succeeded", job_id)
    assert [each["duty"] for each in room.events.fields(Event.DUTY_FAILED)] == ["pull"]


async def test_an_error_nobody_foresaw_does_not_end_the_lane(room: Pulled) -> None:
    room.script["pull"].append(refused(KeyError("oops")))
    job_id = room.job()
    await room.begin()
    await room.call_until("succeeded", job_id)
    assert [each["duty"] for each in room.events.fields(Event.DUTY_FAILED)] == ["pull"]


async def test_an_overdue_job_fails_unrun_and_its_waiters_are_told(room: Pulled) -> None:
    job_id = room.job("never opened", deadline=AT - timedelta(seconds=1))
    await room.begin()
    await until(lambda: job_id in room.cache.documents)
    assert (room.cache.documents[job_id].state, AT_WORK, room.queue.busy) == ("failed", [], 0)
    assert (room.events.count(Event.FAILED), room.events.count(Event.PULLED)) == (1, 0)


async def test_what_is_pulled_while_the_lane_closes_is_given_back_unrun(room: Pulled) -> None:
    gate = Gate()
    room.script["pull"].append(gate)
    job_id = room.job("never opened")
    await room.begin()
    await gate.reached.wait()
    room.close_lane()
    gate.open.set()
    await asyncio.wait_for(room.tasks[0], 1)
    await room.settled()
    assert (room.state(job_id), AT_WORK, room.events.count(Event.RELEASED)) == ("queued", [], 1)


@pytest.mark.parametrize("on", [True, False])
async def test_a_closed_lane_ends_whether_it_pulls_or_not(room: Pulled, on: bool) -> None:
    if on:
        await room.begin()
        await room.looks(1)
    room.close_lane()
    await asyncio.wait_for(room.tasks[0], 1)
    assert room.store.calls["pull"] == on


async def test_a_lane_that_closes_while_every_slot_is_busy_ends_too(room: Pulled) -> None:
    for _ in range(4):
        room.job("shut")
    await room.begin()
    await until(lambda: len(AT_WORK) == 4)
    room.close_lane()
    await asyncio.wait_for(room.tasks[0], 1)
    assert room.store.calls["pull"] == 1


async def test_a_lane_that_closes_while_the_record_is_away_ends_too(room: Pulled) -> None:
    room.script["pull"].append(refused())
    room.script["recover_lane_claims"] += [refused()] * 1_000_000
    await room.begin()
    await room.store.called("recover_lane_claims", 3)
    room.close_lane()
    await asyncio.wait_for(room.tasks[0], 1)


async def _after(call: object, gate: Gate) -> object:
    """The call does its work at once; its answer waits at the gate."""
    answer = await call()  # type: ignore[operator]  # it is a Call of tests.support.faulty_store
    gate.reached.set()
    await gate.open.wait()
    return answer


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)
