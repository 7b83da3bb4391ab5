"""From the bytes of a delivery to its acknowledgement and to running jobs."""

from __future__ import annotations

import asyncio

import pytest

from consumer.intake import pausing
from sluice.core.job import JobState
from sluice.core.runtime.telemetry import Event
from tests.support.fake_delivery_source import FakeDeliverySource
from tests.support.faulty_store import Gate, refused
from tests.support.waiting import until
from tests.unit.consumer.in_memory_consumer import AT_WORK, DOORS, InMemoryConsumer


async def test_a_delivery_goes_all_the_way_from_bytes_to_settled_and_shown(
    consumer: InMemoryConsumer,
) -> None:
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    job = consumer.record.jobs[job_id]
    assert (job.state, job.result, job.fence, job.attempt) == ("succeeded", b'{"ran":true}', 1, 1)
    assert consumer.cache.documents[job_id].state == "succeeded"
    assert consumer.cache.announced[-1] == {job_id: 3}, "and on a slow machine that it runs, before"
    seen = {event: consumer.events.count(event) for event in Event}
    assert {event for event, count in seen.items() if count} == {
        Event.DELIVERED,
        Event.CLAIMED,
        Event.SUCCEEDED,
    }
    assert consumer.lease.held == []
    assert (len(consumer.execution), repr(consumer.execution)) == (0, "<Execution 0 jobs in hand>")


async def test_a_message_is_acknowledged_when_all_its_ids_are_claimed_and_before_the_work_ends(
    consumer: InMemoryConsumer,
) -> None:
    delivery = consumer.bring(*[consumer.job("shut") for _ in range(4)])
    await until(lambda: delivery.acknowledged)
    assert len(consumer.lease.held) == len(consumer.execution) == 4
    assert not consumer.events.count(Event.SUCCEEDED)


async def test_a_message_with_more_ids_than_slots_is_not_acknowledged_before_the_last_is_claimed(
    consumer: InMemoryConsumer,
) -> None:
    ids = [consumer.job(f"door {number}") for number in range(5)]
    delivery = consumer.bring(*ids)
    await until(lambda: len(AT_WORK) == 4)
    assert not delivery.acknowledged
    DOORS["door 2"].set()
    await until(lambda: delivery.acknowledged)
    assert consumer.state(ids[4]) == "running"


async def test_a_slot_of_an_id_that_could_not_be_claimed_is_free_again(consumer: InMemoryConsumer) -> None:
    void = [consumer.job(state=JobState.CANCELLED) for _ in range(4)]
    await consumer.bring_settled(*void)
    assert consumer.slots.busy == 0
    assert consumer.events.count(Event.VOID) == 4


async def test_the_same_id_twice_runs_once_and_both_messages_are_acknowledged(
    consumer: InMemoryConsumer,
) -> None:
    job_id = consumer.job()
    first, second = consumer.bring(job_id, job_id), consumer.bring(job_id)
    await until(lambda: first.acknowledged and second.acknowledged)
    await consumer.settled()
    assert (consumer.record.jobs[job_id].fence, consumer.events.count(Event.SUCCEEDED)) == (1, 1)
    assert consumer.slots.busy == 0


async def test_a_message_that_nobody_can_read_is_counted_and_acknowledged(consumer: InMemoryConsumer) -> None:
    broken = consumer.bring(body=b"\x00 nonsense")
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert (broken.acknowledged, consumer.events.count(Event.UNREADABLE)) == (1, 1)
    assert consumer.state(job_id) == "succeeded"


async def test_a_closed_lane_ends_and_leaves_what_waits_to_others(consumer: InMemoryConsumer) -> None:
    running, waiting = [consumer.job("shut") for _ in range(4)], consumer.job()
    consumer.bring(*running)
    await until(lambda: len(AT_WORK) == 4)
    left = consumer.bring(waiting)
    consumer.intake.close()
    await asyncio.wait_for(consumer.serving, 1)
    DOORS["shut"].set()
    await consumer.settled()
    assert (consumer.state(waiting), left.acknowledged) == ("queued", 0)


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_closed_lane_offers_again_what_only_it_knows(
    consumer: InMemoryConsumer, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(pausing, "LOOK_S", 0)
    waiting = [consumer.job() for _ in range(3)]
    delivery = consumer.bring(*[consumer.job("shut") for _ in range(4)], *waiting)
    await until(lambda: len(AT_WORK) == 4)
    source = FakeDeliverySource(consumer.intake.deliver)
    pauses = asyncio.create_task(consumer.intake.pause(source).watch())
    await until(lambda: delivery.acknowledged)
    pauses.cancel()
    consumer.script["offer_ids"].extend([refused()] * failures)
    consumer.intake.close()
    await asyncio.wait_for(consumer.serving, 1)
    offered = [each for message in consumer.record.outbox.values() for each in message.ids]
    assert offered == (waiting if not failures else [])


async def test_what_is_claimed_while_the_lane_closes_is_given_back_unrun(consumer: InMemoryConsumer) -> None:
    gate = Gate()
    consumer.script["claim"].append(gate)
    job_id = consumer.job("never opened")
    delivery = consumer.bring(job_id)
    await gate.reached.wait()
    consumer.intake.close()
    gate.open.set()
    await asyncio.wait_for(consumer.serving, 1)
    await consumer.settled()
    assert (consumer.state(job_id), AT_WORK, delivery.acknowledged) == ("queued", [], 0)
    assert consumer.events.count(Event.RELEASED) == 1


async def test_what_is_claimed_together_is_settled_and_announced_together(consumer: InMemoryConsumer) -> None:
    await consumer.bring_settled(*[consumer.job() for _ in range(4)])
    assert consumer.batches == [("claim", 4), ("settle", 4), ("announce", 4)]
