"""Turns: what is taken from the record is shared out among the priorities as buffers would."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.lanes import PRIORITIES, WEIGHTS, Turns, WeightedBuffers

counts_of_each = st.fixed_dictionaries({priority: st.integers(0, 40) for priority in PRIORITIES})


class Backlog:
    """So many waiting jobs of each priority, in the order in which the statement takes them."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts, self.turns = Counter(counts), Turns()

    def take(self, limit: int) -> list[str]:
        """Take the next jobs, and return their priorities."""
        order = [
            ((self.turns.had[priority] + place) // WEIGHTS[priority], rank, priority)
            for rank, priority in enumerate(PRIORITIES)
            for place in range(self.counts[priority])
        ]
        taken = [priority for _, _, priority in sorted(order)[:limit]]
        self.counts.subtract(taken)
        self.turns.took(taken)
        return taken


@given(counts_of_each, st.lists(st.integers(1, 30), max_size=20))
def test_jobs_are_taken_in_the_order_in_which_buffers_would_give_them(
    counts: dict[str, int], steps: list[int]
) -> None:
    backlog, buffers = Backlog(counts), WeightedBuffers[str]()
    for priority, count in counts.items():
        buffers.put(priority, [priority] * count)
    for step in steps:
        assert backlog.take(step) == buffers.take(step)


@pytest.mark.parametrize("step", [1, 3, 14, 140])
def test_slots_are_shared_out_eight_to_four_to_one_to_one_however_many_come_free_at_once(step: int) -> None:
    backlog = Backlog(dict.fromkeys(PRIORITIES, 1_000))
    taken = Counter(each for _ in range(420 // step) for each in backlog.take(step))
    assert taken == {"high": 240, "normal": 120, "low": 30, "overflow": 30}


@pytest.mark.parametrize("step", [100, 900])
@pytest.mark.parametrize("others", [{}, {"normal": 3}])
def test_who_had_nothing_waiting_has_saved_no_turns(others: dict[str, int], step: int) -> None:
    backlog = Backlog({"high": 1_000, **others})
    for _ in range(900 // step):
        backlog.take(step)
    backlog.counts["low"] = 500
    assert Counter(backlog.take(18))["low"] <= 3


def test_where_nothing_is_taken_nothing_changes() -> None:
    turns = Turns()
    turns.took(["high", "low"])
    before = dict(turns.had)
    turns.took([])
    assert turns.had == before == {"high": 1, "normal": 0, "low": 1, "overflow": 0}
