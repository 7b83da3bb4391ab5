"""Ids that wait for slots: who gets them, and when a delivery is acknowledged."""

from __future__ import annotations

import asyncio

import pytest

from consumer.intake.lane_buffer import LaneBuffer
from consumer.lane_slots import LaneSlots
from sluice.core.errors import Malformed
from sluice.core.lanes import PRIORITIES, Lane
from tests.unit.consumer.make_deliveries import FakeDelivery, job_ids


def lane_with(slots: int) -> tuple[LaneBuffer, LaneSlots]:
    """A lane with so many slots, and with nothing waiting."""
    lane = LaneSlots(Lane("default", slots, 16))
    return LaneBuffer(lane), lane


async def test_as_many_ids_are_taken_as_there_are_free_slots_first_in_first_out() -> None:
    buffer, slots = lane_with(slots=3)
    ids = job_ids(5)
    assert buffer.add(FakeDelivery(ids)) == 5
    assert list(await buffer.take()) == ids[:3]
    assert slots.busy == 3
    slots.free(2)
    assert list(await buffer.take()) == ids[3:]
    assert repr(buffer) == "<LaneBuffer default: 0 ids, 3/3 slots>"


async def test_nothing_is_taken_while_every_slot_is_busy() -> None:
    buffer, slots = lane_with(slots=1)
    buffer.add(FakeDelivery(job_ids(2)))
    await buffer.take()
    taking = asyncio.create_task(buffer.take())
    await _turns()
    buffer.add(FakeDelivery(job_ids(1, start=9)))
    await _turns()
    assert not taking.done()
    slots.free()
    assert list(await taking) == job_ids(1, start=1)


async def test_an_id_that_arrives_later_wakes_the_lane() -> None:
    buffer, _ = lane_with(slots=2)
    taking = asyncio.create_task(buffer.take())
    await _turns()
    buffer.add(FakeDelivery(job_ids(1)))
    assert list(await taking) == job_ids(1)


async def test_a_slot_that_comes_free_without_ids_wakes_nobody() -> None:
    buffer, slots = lane_with(slots=1)
    buffer.add(FakeDelivery(job_ids(1)))
    await buffer.take()
    taking = asyncio.create_task(buffer.take())
    slots.free()
    await _turns()
    assert not taking.done()
    taking.cancel()


async def test_slots_are_shared_out_eight_to_four_to_one_to_one() -> None:
    buffer, _ = lane_with(slots=28)
    starts = {priority: 1_000 * number for number, priority in enumerate(PRIORITIES)}
    for priority, start in starts.items():
        buffer.add(FakeDelivery(job_ids(50, start), priority))
    taken = list(await buffer.take())
    shares = [sum(each in job_ids(50, start) for each in taken) for start in starts.values()]
    assert shares == [16, 8, 2, 2]


async def test_the_same_id_from_two_deliveries_takes_one_slot_and_acknowledges_both() -> None:
    buffer, slots = lane_with(slots=4)
    first, second = FakeDelivery(job_ids(1)), FakeDelivery(job_ids(1))
    buffer.add(first)
    buffer.add(second)
    taken = await buffer.take()
    assert (len(taken), slots.busy) == (1, 1)
    for pending in taken[job_ids(1)[0]]:
        pending.account_for_one()
    assert (first.acknowledged, second.acknowledged) == (1, 1)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"v":2,"ids":[]}', b'{"v":1,"ids":["x"]}', b'{"v":1,"ids":7}', b'{"v":1,"ids":[]}']
)
async def test_a_message_that_names_no_jobs_as_we_do_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        lane_with(slots=1)[0].add(FakeDelivery([], body=body))


async def test_forgotten_ids_are_never_acknowledged_and_the_lane_is_told_to_end() -> None:
    buffer, slots = lane_with(slots=1)
    delivery = FakeDelivery(job_ids(3))
    buffer.add(delivery)
    await buffer.take()
    taking = asyncio.create_task(buffer.take())
    await _turns()
    buffer.close()
    assert await taking == {}
    slots.free()
    buffer.add(FakeDelivery(job_ids(1, start=9)))
    assert await buffer.take() == {}
    assert delivery.acknowledged == 0


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)
