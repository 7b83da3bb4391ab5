"""The time as the record has it."""

from __future__ import annotations

import pytest

from sluice.core.runtime.record_clock import RecordClock


def test_until_the_record_was_asked_it_is_as_late_there_as_here() -> None:
    clock = RecordClock(lambda: 1_000.0)
    assert (clock(), clock.here()) == (1_000.0, 1_000.0)


@pytest.mark.parametrize("ahead_s", [3_600.0, -3_600.0, 0.0])
def test_the_answer_is_taken_to_be_from_the_middle_of_the_time_it_took(ahead_s: float) -> None:
    times = iter([1_002.0, 1_010.0])
    clock = RecordClock(lambda: next(times))
    clock.learn(1_001.0 + ahead_s, 1_000.0)
    assert clock() == 1_010.0 + ahead_s
