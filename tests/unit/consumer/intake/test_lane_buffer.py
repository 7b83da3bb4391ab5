"""Hints in hand: who gets the slots, and when a delivery is acknowledged."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from consumer.intake.lane_buffer import LaneBuffer, PendingDelivery, acknowledge
from sluice.core.envelope import encode
from sluice.core.errors import Malformed
from sluice.core.lanes import PRIORITIES, Lane


class Brought:
    """A delivery that counts its acknowledgements."""

    def __init__(self, ids: list[str], priority: str = "normal", body: bytes | None = None) -> None:
        self.body = encode(ids) if body is None else body
        self.priority = priority
        self.acknowledged = 0

    def acknowledge(self) -> None:
        self.acknowledged += 1


def job_ids(count: int, start: int = 0) -> list[str]:
    """So many ids."""
    return [str(UUID(int=start + number)) for number in range(count)]


def lane_queue(slots: int) -> LaneBuffer:
    return LaneBuffer(Lane("default", slots, 16))


async def test_as_many_hints_are_taken_as_there_are_free_slots_first_in_first_out() -> None:
    queue = lane_queue(slots=3)
    ids = job_ids(5)
    assert queue.add(Brought(ids)) == 5
    assert list(await queue.take()) == ids[:3]
    assert queue.busy == 3
    queue.free(2)
    assert list(await queue.take()) == ids[3:]
    assert repr(queue) == "<LaneQueue default: 0 hints, 3/3 slots>"


async def test_nothing_is_taken_while_every_slot_is_busy() -> None:
    queue = lane_queue(slots=1)
    queue.add(Brought(job_ids(2)))
    await queue.take()
    taking = asyncio.create_task(queue.take())
    await _turns()
    queue.add(Brought(job_ids(1, start=9)))
    await _turns()
    assert not taking.done()
    queue.free()
    assert list(await taking) == job_ids(1, start=1)


async def test_a_hint_that_arrives_later_wakes_the_lane() -> None:
    queue = lane_queue(slots=2)
    taking = asyncio.create_task(queue.take())
    await _turns()
    queue.add(Brought(job_ids(1)))
    assert list(await taking) == job_ids(1)


async def test_a_slot_that_comes_free_without_hints_wakes_nobody() -> None:
    queue = lane_queue(slots=1)
    queue.add(Brought(job_ids(1)))
    await queue.take()
    taking = asyncio.create_task(queue.take())
    queue.free()
    await _turns()
    assert not taking.done()
    taking.cancel()


async def test_slots_are_shared_out_eight_to_four_to_one_to_one() -> None:
    queue = lane_queue(slots=28)
    starts = {priority: 1_000 * number for number, priority in enumerate(PRIORITIES)}
    for priority, start in starts.items():
        queue.add(Brought(job_ids(50, start), priority))
    taken = list(await queue.take())
    shares = [sum(each in job_ids(50, start) for each in taken) for start in starts.values()]
    assert shares == [16, 8, 2, 2]


async def test_the_same_id_from_two_deliveries_takes_one_slot_and_acknowledges_both() -> None:
    queue = lane_queue(slots=4)
    first, second = Brought(job_ids(1)), Brought(job_ids(1))
    queue.add(first)
    queue.add(second)
    taken = await queue.take()
    assert (len(taken), queue.busy) == (1, 1)
    acknowledge(taken.values())
    assert (first.acknowledged, second.acknowledged) == (1, 1)


async def test_a_delivery_is_acknowledged_once_and_only_when_its_last_id_is_accounted_for() -> None:
    delivery = Brought(job_ids(2))
    hand = PendingDelivery(delivery, 2)
    hand.done()
    assert delivery.acknowledged == 0
    hand.done()
    assert delivery.acknowledged == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"v":2,"ids":[]}', b'{"v":1,"ids":["x"]}', b'{"v":1,"ids":7}', b'{"v":1,"ids":[]}']
)
async def test_a_message_that_names_no_jobs_as_we_do_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        lane_queue(slots=1).add(Brought([], body=body))


async def test_forgotten_hints_are_never_acknowledged_and_the_lane_is_told_to_end() -> None:
    queue = lane_queue(slots=1)
    delivery = Brought(job_ids(3))
    queue.add(delivery)
    await queue.take()
    taking = asyncio.create_task(queue.take())
    await _turns()
    queue.close()
    assert await taking == {}
    queue.free()
    queue.add(Brought(job_ids(1, start=9)))
    assert await queue.take() == {}
    assert delivery.acknowledged == 0


async def test_all_free_slots_are_taken_at_once_for_work_without_hints() -> None:
    queue = lane_queue(slots=3)
    queue.add(Brought(job_ids(1)))
    await queue.take()
    assert (await queue.room(), queue.busy) == (2, 3)
    taking = asyncio.create_task(queue.room())
    await _turns()
    assert not taking.done()
    queue.free(2)
    assert (await taking, queue.busy) == (2, 3)


async def test_nobody_waits_for_slots_of_a_closed_lane() -> None:
    queue = lane_queue(slots=1)
    assert await queue.room() == 1
    taking = asyncio.create_task(queue.room())
    await _turns()
    queue.close()
    assert await taking == 0
    queue.free()
    assert (await queue.room(), queue.busy) == (0, 0)


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)
