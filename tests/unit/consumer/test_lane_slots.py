"""The slots of a lane: taken while they last, freed by whoever is done."""

from __future__ import annotations

import asyncio

from consumer.lane_slots import LaneSlots
from sluice.core.lanes import Lane


async def test_all_free_slots_are_taken_at_once() -> None:
    slots = LaneSlots(Lane("default", 3, 16))
    slots.take(1)
    assert (await slots.take_all(), slots.busy) == (2, 3)
    taking = asyncio.create_task(slots.take_all())
    await _turns()
    assert not taking.done()
    slots.free(2)
    assert (await taking, slots.busy) == (2, 3)


async def test_nobody_waits_for_slots_of_a_closed_lane() -> None:
    slots = LaneSlots(Lane("default", 1, 16))
    assert await slots.take_all() == 1
    taking = asyncio.create_task(slots.take_all())
    await _turns()
    slots.close()
    assert await taking == 0
    slots.free()
    assert (await slots.take_all(), slots.busy) == (0, 0)


async def test_a_slot_that_comes_free_is_reported() -> None:
    slots = LaneSlots(Lane("default", 2, 16))
    left: list[int] = []
    slots.take(2)
    slots.free()
    slots.on_free = lambda: left.append(slots.left)
    slots.free()
    assert (left, repr(slots)) == ([2], "<LaneSlots default: 0 of 2 busy>")


async def test_a_lane_that_stays_full_knows_for_how_long() -> None:
    slots = LaneSlots(Lane("default", 2, 16))
    slots._freed_at -= 100
    assert slots.full_s == 0
    slots.take(1)
    slots.take(1)
    assert 0 <= slots.full_s < 50, "counted from when the last slot was taken"
    slots._freed_at -= 100
    slots.free()
    assert slots.full_s == 0
    slots.take(1)
    assert slots.full_s < 50


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)
