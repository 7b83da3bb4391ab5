"""Lanes: names of queues, and the order in which waiting work fills slots."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.lanes import PRIORITIES, WEIGHTS, Lane, WeightedBuffers, queue_name

FULL = 1_000


def filled(counts: dict[str, int]) -> WeightedBuffers[tuple[str, int]]:
    buffers: WeightedBuffers[tuple[str, int]] = WeightedBuffers()
    for priority, count in counts.items():
        buffers.put(priority, ((priority, number) for number in range(count)))
    return buffers


counts_of_each = st.fixed_dictionaries({priority: st.integers(0, 40) for priority in PRIORITIES})


def test_a_lane_has_one_queue_for_each_priority() -> None:
    assert Lane("heavy", 2, 1).queues == {
        "high": "sluice.heavy.high",
        "normal": "sluice.heavy.normal",
        "low": "sluice.heavy.low",
        "overflow": "sluice.heavy.overflow",
    }
    assert queue_name("heavy", "low") == "sluice.heavy.low"


def test_every_priority_has_a_weight() -> None:
    assert set(WEIGHTS) == set(PRIORITIES)
    assert all(weight > 0 for weight in WEIGHTS.values())


def test_full_buffers_are_emptied_eight_to_four_to_one_to_one() -> None:
    taken = Counter(priority for priority, _ in filled(dict.fromkeys(PRIORITIES, FULL)).take(140))
    assert taken == {"high": 80, "normal": 40, "low": 10, "overflow": 10}


def test_slots_that_come_free_one_at_a_time_are_shared_in_the_same_way() -> None:
    buffers = filled(dict.fromkeys(PRIORITIES, FULL))
    taken = Counter(buffers.take(1)[0][0] for _ in range(140))
    assert taken == {"high": 80, "normal": 40, "low": 10, "overflow": 10}


def test_a_flood_of_high_priority_work_does_not_starve_one_low_job() -> None:
    buffers = filled({"high": FULL, "low": 1})
    assert ("low", 0) in buffers.take(sum(WEIGHTS.values()))


@pytest.mark.parametrize("priority", PRIORITIES)
def test_work_of_one_priority_alone_takes_every_slot(priority: str) -> None:
    assert filled({priority: 50}).take(50) == [(priority, number) for number in range(50)]


def test_low_work_that_waited_for_long_does_not_hold_back_high_work_that_just_came() -> None:
    buffers = filled({"low": FULL})
    buffers.take(100)
    buffers.put("high", [("high", number) for number in range(FULL)])
    first = Counter(priority for priority, _ in buffers.take(18))
    assert first["high"] >= 16


@given(counts_of_each, st.integers(0, 200))
def test_taking_gives_no_more_than_asked_for_and_no_less_than_there_is(
    counts: dict[str, int], asked: int
) -> None:
    buffers = filled(counts)
    waiting = len(buffers)
    assert waiting == sum(counts.values())
    assert len(buffers.take(asked)) == min(asked, waiting)
    assert len(buffers) == max(0, waiting - asked)


@given(counts_of_each, st.lists(st.integers(1, 9)))
def test_each_item_is_taken_once_and_first_in_first_out_within_its_priority(
    counts: dict[str, int], steps: list[int]
) -> None:
    buffers = filled(counts)
    taken = [item for step in steps for item in buffers.take(step)] + buffers.clear()
    for priority, count in counts.items():
        assert [item for item in taken if item[0] == priority] == [(priority, n) for n in range(count)]
    assert len(buffers) == 0


def test_an_empty_buffer_gives_nothing() -> None:
    assert WeightedBuffers[int]().take(5) == []
    assert WeightedBuffers[int]().clear() == []


def test_an_unknown_priority_is_refused() -> None:
    with pytest.raises(KeyError):
        WeightedBuffers[int]().put("urgent", [1])


def test_the_order_in_which_priorities_give_follows_their_turns() -> None:
    buffers: WeightedBuffers[int] = WeightedBuffers()
    assert buffers.order() == list(PRIORITIES)
    buffers.put("high", range(8))
    buffers.take(8)
    assert buffers.order() == ["normal", "low", "overflow", "high"]


def test_what_is_not_wanted_is_dropped_and_the_rest_keeps_its_order() -> None:
    buffers: WeightedBuffers[int] = WeightedBuffers()
    buffers.put("normal", range(5))
    buffers.put("low", [9])
    buffers.keep(lambda number: number % 2 == 0)
    assert (list(buffers), buffers.holds("normal"), buffers.holds("low")) == ([0, 2, 4], True, False)
