"""A delivery from bytes to settled, over a record that fails on demand; handlers run in the loop, for real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
from pydantic import BaseModel

from consumer import execution as execution_module
from consumer import settling as settling_module
from consumer.attempt import Attempt
from consumer.execution import Execution
from consumer.intake.lane_buffer import LaneBuffer
from consumer.lease import Leases
from consumer.running.runner import Runner
from consumer.settling import Settling
from sluice.core.errors import BadRow
from sluice.core.job import JobState
from sluice.core.lanes import Lane
from sluice.core.outcome import LeaseLost, NotRenewed
from sluice.core.registry import Registry
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import GiveUp
from sluice.handler import handler
from tests.support.fake_record import FakeRecord
from tests.support.fakes import Events, FakeCache
from tests.support.faulty_store import FaultyStore, Gate, lost, refused
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.intake.test_lane_buffer import Brought
from tests.unit.consumer.make_attempts import a_job


class Ask(BaseModel):
    """Which door to wait at; none to go straight through."""

    door: str = ""
    fail: bool = False


class Done(BaseModel):
    """That it ran."""

    ran: bool = True


DOORS: dict[str, asyncio.Event] = {}
AT_WORK: list[str] = []


@handler("t.work", aliases=("t.former",))
async def work(ask: Ask) -> Done:
    """Waits until its door is opened."""
    if ask.door:
        AT_WORK.append(ask.door)
        await DOORS[ask.door].wait()
    if ask.fail:
        raise GiveUp("as asked")
    return Done()


class NoLeases:
    """Remembers what it is to keep alive."""

    def __init__(self) -> None:
        self.held: list[Attempt] = []

    def hold(self, attempt: Attempt) -> None:
        self.held.append(attempt)

    def drop(self, attempt: Attempt) -> None:
        self.held.remove(attempt)


class Room:
    """The work room without servers."""

    def __init__(self, slots: int = 4) -> None:
        self.record = FakeRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.events, self.cache, self.leases = Events(), FakeCache(), NoLeases()
        self.runner = Runner([], threads=1, processes=1)
        telemetry = Telemetry(self.events)
        store = self.store.port
        self.settling = Settling(store, self.cache, telemetry)
        self.execution = Execution(
            Registry([work]), store, self.runner, cast(Leases, self.leases), self.settling, telemetry
        )
        self.queue = LaneBuffer(Lane("default", slots, 16))
        self.serving = asyncio.create_task(self.execution.serve(self.queue))

    def job(self, door: str = "", **changes: Any) -> str:
        """A queued job, which waits at this door when it runs."""
        if door:
            DOORS.setdefault(door, asyncio.Event())
        given = {"door": door, "fail": changes.pop("fail", False)}
        fresh = {"state": JobState.QUEUED, "fence": 0, "attempt": 0, "version": 1, "queued_at": AT}
        return self.record.add(a_job(work, given), **(fresh | changes))

    def bring(self, *ids: str, priority: str = "normal", body: bytes | None = None) -> Brought:
        """A message with these ids arrives."""
        delivery = Brought(list(ids), priority, body)
        self.execution.deliver(self.queue, delivery)
        return delivery

    async def bring_settled(self, *ids: str) -> Brought:
        """A message arrives and all that comes of it is done."""
        delivery = self.bring(*ids)
        await until(lambda: delivery.acknowledged)
        await self.settled()
        return delivery

    async def settled(self) -> None:
        await self.execution.finish()
        await self.settling.drain()

    def state(self, job_id: str) -> str:
        return self.record.jobs[job_id].state

    async def close(self) -> None:
        for door in DOORS.values():
            door.set()
        self.serving.cancel()
        await asyncio.wait([self.serving])
        await self.settled()
        await self.runner.close()


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    """A work room whose pauses take no time."""
    monkeypatch.setattr(execution_module, "PAUSE_S", 0)
    monkeypatch.setattr(settling_module, "PAUSE_S", 0)
    DOORS.clear()
    AT_WORK.clear()
    room = Room()
    try:
        yield room
    finally:
        await asyncio.wait_for(room.close(), 5)


async def test_a_delivery_goes_all_the_way_from_bytes_to_settled_and_shown(room: Room) -> None:
    job_id = room.job()
    await room.bring_settled(job_id)
    job = room.record.jobs[job_id]
    assert (job.state, job.result, job.fence, job.attempt) == ("succeeded", b'{"ran":true}', 1, 1)
    assert room.cache.documents[job_id].state == "succeeded"
    assert room.cache.announced == [{job_id: 2}, {job_id: 3}]
    seen = {event: room.events.count(event) for event in Event}
    assert {event for event, count in seen.items() if count} == {
        Event.DELIVERED,
        Event.CLAIMED,
        Event.SUCCEEDED,
    }
    assert room.leases.held == []
    assert (len(room.execution), repr(room.execution)) == (0, "<Execution 0 jobs in hand>")


async def test_a_message_is_acknowledged_when_all_its_ids_are_claimed_and_before_the_work_ends(
    room: Room,
) -> None:
    delivery = room.bring(*[room.job("shut") for _ in range(4)])
    await until(lambda: delivery.acknowledged)
    assert len(room.leases.held) == len(room.execution) == 4
    assert not room.events.count(Event.SUCCEEDED)


async def test_a_message_with_more_ids_than_slots_is_not_acknowledged_before_the_last_is_claimed(
    room: Room,
) -> None:
    ids = [room.job(f"door {number}") for number in range(5)]
    delivery = room.bring(*ids)
    await until(lambda: len(AT_WORK) == 4)
    assert not delivery.acknowledged
    DOORS["door 2"].set()
    await until(lambda: delivery.acknowledged)
    assert room.state(ids[4]) == "running"


async def test_never_more_jobs_run_than_there_are_slots(room: Room) -> None:
    ids = [room.job(f"door {number}") for number in range(40)]
    for start in range(0, 40, 8):
        room.bring(*ids[start : start + 8])
    for number in range(40):
        running = min(4, 40 - number)
        await until(lambda: len(AT_WORK) - number >= running >= room.queue.busy)  # noqa: B023  it is awaited here
        assert (len(AT_WORK) - number, room.queue.busy) == (running, running)
        DOORS[AT_WORK[number]].set()
    await room.settled()
    assert room.events.count(Event.SUCCEEDED) == 40
    assert room.queue.busy == 0


async def test_a_slot_is_free_once_its_handler_has_ended_although_the_record_is_away(room: Room) -> None:
    gate = Gate()
    room.script["settle"].append(gate)
    room.bring(*[room.job() for _ in range(4)])
    await gate.reached.wait()
    later = room.job("shut")
    room.bring(later)
    await until(lambda: AT_WORK == ["shut"])
    assert room.queue.busy == 1
    gate.open.set()


async def test_a_slot_of_an_id_that_could_not_be_claimed_is_free_again(room: Room) -> None:
    void = [room.job(state=JobState.CANCELLED) for _ in range(4)]
    await room.bring_settled(*void)
    assert room.queue.busy == 0
    assert room.events.count(Event.VOID) == 4


@pytest.mark.parametrize(
    "state", [JobState.RUNNING, JobState.SUCCEEDED, JobState.CANCELLED, JobState.SCHEDULED]
)
async def test_a_job_that_is_not_queued_is_void_and_its_message_acknowledged(
    room: Room, state: JobState
) -> None:
    job_id = room.job(state=state)
    before = room.record.jobs[job_id]
    delivery = await room.bring_settled(job_id)
    assert delivery.acknowledged == 1
    assert room.record.jobs[job_id] == before
    assert room.events.count(Event.VOID) == 1


async def test_an_id_that_nobody_knows_is_void(room: Room) -> None:
    delivery = await room.bring_settled("00000000-0000-7000-8000-00000000dead")
    assert (delivery.acknowledged, room.events.count(Event.VOID)) == (1, 1)


async def test_an_overdue_job_fails_unrun_and_its_waiters_are_told(room: Room) -> None:
    job_id = room.job("never opened", deadline=AT - timedelta(seconds=1))
    await room.bring_settled(job_id)
    assert (room.state(job_id), AT_WORK) == ("failed", [])
    assert room.cache.documents[job_id].state == "failed"
    assert room.events.count(Event.FAILED) == 1


async def test_a_kind_that_is_unknown_here_is_put_off(room: Room) -> None:
    job_id = room.job(kind="t.foreign")
    delivery = await room.bring_settled(job_id)
    assert (room.record.put_off, room.state(job_id), delivery.acknowledged) == ([job_id], "queued", 1)


async def test_a_job_of_a_kind_by_its_former_name_runs(room: Room) -> None:
    job_id = room.job(kind="t.former")
    await room.bring_settled(job_id)
    assert room.state(job_id) == "succeeded"


async def test_a_record_that_cannot_say_what_is_void_holds_up_nothing(room: Room) -> None:
    room.script["defer_unclaimed"] += [refused(), refused(BadRow())]
    good = room.job()
    first = await room.bring_settled(room.job(state=JobState.CANCELLED), good)
    second = await room.bring_settled(room.job(state=JobState.CANCELLED))
    assert (first.acknowledged, second.acknowledged, room.state(good)) == (1, 1, "succeeded")
    assert [each["duty"] for each in room.events.fields(Event.DUTY_FAILED)] == ["defer_unclaimed"]


async def test_the_same_id_twice_runs_once_and_both_messages_are_acknowledged(room: Room) -> None:
    job_id = room.job()
    first, second = room.bring(job_id, job_id), room.bring(job_id)
    await until(lambda: first.acknowledged and second.acknowledged)
    await room.settled()
    assert (room.record.jobs[job_id].fence, room.events.count(Event.SUCCEEDED)) == (1, 1)
    assert room.queue.busy == 0


async def test_a_message_that_nobody_can_read_is_counted_and_acknowledged(room: Room) -> None:
    broken = room.bring(body=b"\x00 nonsense")
    job_id = room.job()
    await room.bring_settled(job_id)
    assert (broken.acknowledged, room.events.count(Event.UNREADABLE)) == (1, 1)
    assert room.state(job_id) == "succeeded"


async def test_a_claim_whose_reply_was_lost_is_found_under_our_name(room: Room) -> None:
    room.script["claim"].append(lost())
    ids = [room.job(), room.job()]
    delivery = await room.bring_settled(*ids)
    assert [room.record.jobs[each].fence for each in ids] == [1, 1]
    assert (delivery.acknowledged, room.events.count(Event.SUCCEEDED), room.events.count(Event.CLAIMED)) == (
        1,
        2,
        2,
    )


async def test_a_claim_that_never_reached_the_record_is_made_again(room: Room) -> None:
    room.script["claim"] += [refused(), refused()]
    room.script["recover_lost_claims"].append(refused())
    job_id = room.job()
    delivery = await room.bring_settled(job_id)
    assert (room.record.jobs[job_id].fence, room.state(job_id), delivery.acknowledged) == (1, "succeeded", 1)
    assert room.store.calls["recover_lost_claims"] == 3


async def test_what_is_adopted_is_kept_although_the_next_call_fails(room: Room) -> None:
    room.script["claim"] += [lost(), refused(), refused()]
    job_id = room.job()
    await room.bring_settled(job_id)
    assert (room.record.jobs[job_id].fence, room.state(job_id)) == (1, "succeeded")


async def test_a_job_in_hand_is_not_adopted_a_second_time(room: Room) -> None:
    job_id = room.job("shut")
    room.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    room.script["claim"].append(lost())
    again = room.bring(job_id)
    await until(lambda: again.acknowledged)
    assert (AT_WORK, len(room.leases.held), room.events.count(Event.VOID)) == (["shut"], 1, 1)


async def test_a_new_claim_of_a_job_whose_old_one_is_still_in_hand_is_adopted(room: Room) -> None:
    job_id = room.job("shut")
    room.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    room.record.add(room.record.jobs[job_id], state=JobState.QUEUED)  # the lease ran out, the keeper came by
    room.script["claim"].append(lost())
    room.bring(job_id)
    await until(lambda: AT_WORK == ["shut", "shut"])
    assert [each.fence for each in sorted(room.execution.in_hand)] == [1, 2]
    DOORS["shut"].set()
    await room.settled()
    assert (room.record.jobs[job_id].fence, room.state(job_id), len(room.execution)) == (2, "succeeded", 0)


async def test_an_error_nobody_foresaw_does_not_end_the_lane(room: Room) -> None:
    room.script["claim"] += [
        refused(RuntimeError("the record speaks in tongues")),
        refused(KeyError("again")),
    ]
    job_id = room.job()
    await room.bring_settled(job_id)
    assert room.state(job_id) == "succeeded"
    assert [each["duty"] for each in room.events.fields(Event.DUTY_FAILED)] == ["claim", "claim"]


async def test_a_lease_is_let_go_where_nobody_foresaw_how_the_run_would_end(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(_: Attempt) -> None:
        raise RuntimeError("no place to run")

    monkeypatch.setattr(room.runner, "run", stumble)
    await room.bring_settled(room.job())
    assert (len(room.execution), room.leases.held, room.queue.busy) == (0, [], 0)


async def test_a_handler_that_fails_is_judged_and_shown(room: Room) -> None:
    job_id = room.job(fail=True)
    await room.bring_settled(job_id)
    assert room.state(job_id) == "failed"
    assert b'"gave-up"' in (room.record.jobs[job_id].error or b"")


async def test_nothing_is_written_for_a_job_whose_lease_was_lost(room: Room) -> None:
    job_id = room.job("shut")
    room.bring(job_id)
    await until(lambda: AT_WORK)
    room.leases.held[0].stop(LeaseLost())
    await room.settled()
    assert (room.state(job_id), room.store.calls["settle"]) == ("running", 0)
    assert (len(room.execution), room.leases.held, room.queue.busy) == (0, [], 0)


async def test_a_job_whose_lease_could_not_be_renewed_is_given_back(room: Room) -> None:
    job_id = room.job("shut")
    room.bring(job_id)
    await until(lambda: AT_WORK)
    room.leases.held[0].stop(NotRenewed())
    await room.settled()
    assert (room.state(job_id), room.record.jobs[job_id].crash_count) == ("queued", 0)
    assert (len(room.execution), room.leases.held, room.queue.busy) == (0, [], 0)


async def test_a_job_claimed_anew_is_not_let_go_by_its_former_attempt(room: Room) -> None:
    gate = Gate()
    room.script["settle"].append(gate)
    job_id = room.job()
    room.bring(job_id)
    await gate.reached.wait()
    DOORS["second"] = asyncio.Event()
    room.record.add(room.record.jobs[job_id], state=JobState.QUEUED, input=b'{"door":"second"}')
    room.bring(job_id)
    await until(lambda: AT_WORK == ["second"])
    gate.open.set()
    await until(lambda: room.events.count(Event.STALE))
    await until(lambda: len(room.leases.held) == 1)
    assert len(room.execution) == 1
    DOORS["second"].set()
    await room.settled()
    assert (room.state(job_id), room.record.jobs[job_id].fence) == ("succeeded", 2)


async def test_a_job_that_cancels_the_task_it_runs_in_is_left_to_its_lease_and_nothing_of_it_stays(
    room: Room,
) -> None:
    job_id = room.job("shut")
    room.bring(job_id)
    await until(lambda: AT_WORK)
    (task,) = room.execution._performing
    task.cancel()
    await room.settled()
    assert (room.state(job_id), room.store.calls["settle"]) == ("running", 0)
    assert (len(room.execution), room.leases.held, room.queue.busy) == (0, [], 0)


async def test_a_stop_gives_back_what_runs(room: Room) -> None:
    ids = [room.job("shut"), room.job("shut")]
    room.bring(*ids)
    await until(lambda: len(AT_WORK) == 2)
    room.execution.stop()
    await room.settled()
    assert {room.state(each) for each in ids} == {"queued"}
    assert room.events.count(Event.RELEASED) == 2


async def test_a_closed_lane_ends_and_leaves_what_waits_to_others(room: Room) -> None:
    running, waiting = [room.job("shut") for _ in range(4)], room.job()
    room.bring(*running)
    await until(lambda: len(AT_WORK) == 4)
    left = room.bring(waiting)
    room.queue.close()
    await asyncio.wait_for(room.serving, 1)
    DOORS["shut"].set()
    await room.settled()
    assert (room.state(waiting), left.acknowledged) == ("queued", 0)


async def test_what_is_claimed_while_the_lane_closes_is_given_back_unrun(room: Room) -> None:
    gate = Gate()
    room.script["claim"].append(gate)
    job_id = room.job("never opened")
    delivery = room.bring(job_id)
    await gate.reached.wait()
    room.queue.close()
    gate.open.set()
    await asyncio.wait_for(room.serving, 1)
    await room.settled()
    assert (room.state(job_id), AT_WORK, delivery.acknowledged) == ("queued", [], 0)
    assert room.events.count(Event.RELEASED) == 1


async def test_a_lane_that_closes_while_the_record_is_away_ends_too(room: Room) -> None:
    gate = Gate()
    room.script["claim"].append(refused())
    room.script["recover_lost_claims"].append(gate)
    room.script["claim"] += [refused()] * 3
    delivery = room.bring(room.job())
    await gate.reached.wait()
    room.queue.close()
    gate.open.set()
    await asyncio.wait_for(room.serving, 1)
    assert (delivery.acknowledged, room.store.calls["claim"]) == (0, 2)


async def test_the_newest_claim_of_each_queue_is_remembered(room: Room) -> None:
    early, late = AT - timedelta(hours=1), AT + timedelta(hours=1)
    await room.bring_settled(room.job(queued_at=late))
    await room.bring_settled(room.job(queued_at=early), room.job(queued_at=None, priority="high"))
    await room.bring_settled(room.job(queued_at=early, priority="low"))
    assert room.execution.newest == {("default", "normal"): late, ("default", "low"): early}
