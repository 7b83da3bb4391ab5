"""Which lanes are paused, what happens to the messages that wait, and who gets a slot that comes free."""

from __future__ import annotations

import asyncio

import pytest

from consumer.intake.lane_buffer import LaneBuffer
from consumer.intake.pausing import FAST_FROM, LanePauses
from consumer.lane_slots import LaneSlots
from sluice.core.lanes import PRIORITIES, Lane
from sluice.core.ports import Delivery
from tests.support.fake_delivery_source import FakeDeliverySource
from tests.unit.consumer.make_deliveries import FakeDelivery, job_ids


@pytest.fixture
async def lane_of_two() -> PausedLane:
    """A lane with two slots."""
    return PausedLane(slots=2)


class PausedLane:
    """A lane whose jobs end when a test says so. `begun` has their ids in order."""

    def __init__(self, slots: int, prefetch: int = 2) -> None:
        self.slots = LaneSlots(Lane("default", slots, 16))
        self.buffer = LaneBuffer(self.slots)
        self.source = FakeDeliverySource(self.deliver, prefetch)
        self.pauses = LanePauses(self.source, self.buffer, self.slots)
        self.begun: list[str] = []
        self.claimable = asyncio.Event()
        self.claimable.set()
        self._serving = asyncio.create_task(self._serve())

    def deliver(self, delivery: Delivery) -> None:
        """Take in one message."""
        self.buffer.add(delivery)

    async def _serve(self) -> None:
        while taken := await self.buffer.take():
            async with self.slots.claiming:
                await self.claimable.wait()
            for pending in [each for several in taken.values() for each in several]:
                pending.account_for_one()
            self.begun += taken

    async def publish(self, *messages: list[str], priority: str = "normal") -> None:
        """Put messages into a queue, and let come of it what does."""
        for each in messages:
            self.source.publish(each, priority)
        await _turns()

    async def end(self, jobs: int = 1) -> None:
        """So many jobs end."""
        self.slots.free(jobs)
        await _turns()

    async def slow(self, *messages: list[str], priority: str = "normal") -> None:
        """These messages come into a lane that turns out to be slow."""
        await self.publish(*messages, priority=priority)
        await self.pauses.look()
        assert self.source.paused

    async def become_fast(self) -> None:
        """The lane turns out to be fast again."""
        await self.pauses.look()
        assert not self.source.paused
        assert self.buffer.before_take is None


async def test_a_full_lane_in_which_nothing_ends_is_paused_and_what_waits_goes_to_others() -> None:
    lane = PausedLane(slots=1)
    first, second, third = ([each] for each in job_ids(3))
    await lane.slow(first, second, third)
    assert lane.begun == first
    assert (lane.source.in_hand, lane.source.returns) == ([], 2)
    assert repr(lane.pauses) == "<LanePauses default: slow, paused>"


async def test_a_full_lane_is_paused_before_it_holds_a_message() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(1))
    await lane.publish(job_ids(1, start=1))
    assert lane.source.in_hand == []


async def test_a_lane_with_free_slots_is_not_paused() -> None:
    lane = PausedLane(slots=2)
    await lane.publish(job_ids(1))
    for _ in range(3):
        await lane.pauses.look()
    assert not lane.source.paused
    assert repr(lane.pauses) == "<LanePauses default: fast>"


async def test_a_full_lane_that_used_what_it_held_since_the_last_look_is_not_paused() -> None:
    lane = PausedLane(slots=2, prefetch=9)
    await lane.publish(*([each] for each in job_ids(9)))
    for _ in range(2):
        await lane.end(2)
    assert lane.slots.left == 0
    await lane.pauses.look()
    assert not lane.source.paused


async def test_a_full_lane_that_holds_more_than_it_used_since_the_last_look_is_paused() -> None:
    lane = PausedLane(slots=2, prefetch=12)
    await lane.publish(*([each] for each in job_ids(12)))
    for _ in range(2):
        await lane.end(2)
    assert lane.buffer.waiting == 6
    await lane.slow()
    assert lane.source.in_hand == []


async def test_a_slot_that_comes_free_gets_one_message_and_no_more_are_in_hand() -> None:
    lane = PausedLane(slots=1)
    ids = job_ids(4)
    await lane.slow(*([each] for each in ids))
    for ended in range(1, 4):
        await lane.end()
        assert len(lane.begun) == ended + 1
        assert lane.source.in_hand == []
    assert sorted(lane.begun) == ids
    assert lane.source.returns == 2  # those that came before it was known


async def test_every_free_slot_asks() -> None:
    lane = PausedLane(slots=4, prefetch=9)
    await lane.slow(*([each] for each in job_ids(9)))
    await lane.end(3)
    assert len(lane.begun) == 7


async def test_slots_of_a_paused_lane_are_shared_out_eight_to_four_to_one_to_one() -> None:
    lane = PausedLane(slots=14)
    await lane.slow(job_ids(14, start=9_000), priority="high")
    for number, priority in enumerate(PRIORITIES):
        await lane.publish(*([each] for each in job_ids(20, 100 * number)), priority=priority)
    lane.begun.clear()
    for _ in range(28):
        await lane.end()
    shares = [sum(each in lane.begun for each in job_ids(20, 100 * number)) for number in range(4)]
    assert shares == [16, 8, 2, 2]


async def test_an_urgent_message_is_fetched_although_ids_of_another_priority_wait_here() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(3))
    assert lane.buffer.holds("normal")
    urgent = job_ids(1, start=9)
    await lane.publish(urgent, priority="high")
    await lane.end()
    assert lane.begun == [job_ids(1)[0], *urgent]


async def test_nothing_is_fetched_of_other_priorities_while_ids_wait_here_whose_turn_it_is() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(3))
    await lane.publish(job_ids(1, start=9), priority="low")
    await lane.end()
    assert (lane.begun, lane.source.in_hand) == (job_ids(2), [])


async def test_while_nothing_is_to_be_fetched_messages_are_pushed_until_the_lane_is_full() -> None:
    lane = PausedLane(slots=2)
    await lane.slow(job_ids(2))
    await lane.end(2)
    assert not lane.source.paused
    await lane.publish(job_ids(1, start=2), job_ids(1, start=3), job_ids(1, start=4))
    assert lane.source.paused
    assert lane.begun == job_ids(4)
    assert lane.source.in_hand == []


async def test_the_rest_of_a_message_that_was_begun_stays_and_is_not_sent_around() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(3))
    assert (lane.source.in_hand, lane.source.returns) == ([], 0)
    for _ in range(2):
        await lane.end()
    assert lane.begun == job_ids(3)


async def test_the_rest_of_a_fetched_message_is_let_go_of_when_it_has_waited() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(1))
    await lane.publish(job_ids(3, start=1))
    await lane.end()
    assert len(lane.source.in_hand) == 1
    for _ in range(2):
        await lane.pauses.look()
    assert (lane.source.in_hand, lane.source.returns) == ([], 0)


async def test_a_message_that_cannot_be_claimed_is_not_held_either() -> None:
    lane = PausedLane(slots=4)
    lane.claimable.clear()
    await lane.publish(job_ids(2))
    await lane.publish(job_ids(2, start=2))
    for _ in range(2):
        await lane.pauses.look()
    assert (lane.source.in_hand, lane.source.returns) == ([], 2)
    for _ in range(5):
        await lane.pauses.look()
    assert lane.source.returns == 2  # it is not asked for again before the claim has ended
    lane.claimable.set()
    await _turns()
    assert len(lane.begun) == lane.slots.busy == 4


async def test_a_message_that_waits_in_a_fast_lane_for_its_turn_is_handed_back_and_fetched_at_its_turn() -> (
    None
):
    lane = PausedLane(slots=1, prefetch=40)
    await lane.publish(*([each] for each in job_ids(30)), priority="high")
    await lane.publish(job_ids(1, start=99), priority="low")
    await lane.pauses.look()
    for _ in range(3):
        await lane.end()
    await lane.pauses.look()
    assert lane.source.paused
    for _ in range(12):
        await lane.end()
    assert job_ids(1, start=99)[0] in lane.begun


async def test_a_slow_lane_becomes_fast_again() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(*([each] for each in job_ids(60)))
    await lane.end(1)
    await lane.pauses.look()
    assert lane.source.paused
    for _ in range(FAST_FROM):
        await lane.end()
    await lane.become_fast()


async def test_a_lane_that_is_no_longer_full_is_no_longer_slow() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(1))
    await lane.end()
    await lane.become_fast()


async def test_a_halted_lane_takes_nothing_and_what_waited_goes_to_its_queue(lane_of_two: PausedLane) -> None:
    lane = lane_of_two
    first, second, third, fourth = ([each] for each in job_ids(4))
    await lane.publish(first, second, third)
    assert lane.begun == [*first, *second]
    await lane.pauses.halt(True)
    await lane.publish(fourth)
    await lane.end(2)
    assert lane.begun == [*first, *second]  # although its slots are free
    assert (lane.source.paused, lane.source.in_hand, lane.source.returns) == (True, [], 1)


async def test_a_halted_lane_stays_so_whatever_is_judged_of_its_speed(lane_of_two: PausedLane) -> None:
    lane = lane_of_two
    await lane.publish(*([each] for each in job_ids(4)))
    await lane.pauses.look()  # full and slow
    await lane.pauses.halt(True)
    for _ in range(3):
        await lane.pauses.look()
        await lane.end(lane.slots.busy)
    assert (len(lane.begun), lane.source.in_hand, lane.source.returns) == (2, [], 2)
    assert lane.source.paused
    await lane.pauses.halt(False)
    await _turns()
    assert sorted(lane.begun) == job_ids(4)


async def test_a_lane_that_goes_on_is_pushed_again_and_paused_as_before_when_it_is_full_and_slow(
    lane_of_two: PausedLane,
) -> None:
    lane = lane_of_two
    await lane.pauses.halt(True)
    await lane.publish(*([each] for each in job_ids(3)))
    assert lane.begun == []
    await lane.pauses.halt(False)
    await _turns()
    assert (lane.source.paused, len(lane.begun)) == (False, 2)
    await lane.pauses.look()
    assert lane.source.paused


async def test_the_rest_of_a_message_that_was_begun_waits_until_the_lane_goes_on(
    lane_of_two: PausedLane,
) -> None:
    lane = lane_of_two
    await lane.publish(job_ids(4))
    await lane.pauses.halt(True)
    await lane.end(2)
    assert (lane.begun, lane.source.in_hand) == (job_ids(2), [])
    await lane.pauses.halt(False)
    await _turns()
    assert lane.begun == job_ids(4)


async def test_a_message_that_is_being_fetched_when_its_lane_is_halted_goes_back(
    lane_of_two: PausedLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = lane_of_two
    await lane.slow(*([each] for each in job_ids(2)))
    fetch = lane.source.fetch

    async def halted_meanwhile(priority: str) -> bool:
        await lane.pauses.halt(True)
        return await fetch(priority)

    monkeypatch.setattr(lane.source, "fetch", halted_meanwhile)
    await lane.publish(job_ids(1, start=9))
    await lane.end()
    assert len(lane.begun) == 2
    for _ in range(2):
        await lane.pauses.look()
    assert (lane.source.in_hand, lane.source.returns) == ([], 1)


async def test_a_halt_that_comes_while_nothing_was_to_be_fetched_is_not_undone(
    lane_of_two: PausedLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = lane_of_two
    await lane.slow(*([each] for each in job_ids(2)))

    async def halted_meanwhile(priority: str) -> bool:
        await lane.pauses.halt(True)
        return False

    monkeypatch.setattr(lane.source, "fetch", halted_meanwhile)
    await lane.end()
    assert lane.source.paused


async def test_ids_that_rabbitmq_does_not_hold_are_named_when_the_lane_closes() -> None:
    lane = PausedLane(slots=1)
    await lane.slow(job_ids(3))
    lane.buffer.add(FakeDelivery(job_ids(1, start=9)))
    assert lane.buffer.close() == job_ids(2, start=1)


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(40):
        await asyncio.sleep(0)
