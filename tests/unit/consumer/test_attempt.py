"""What an attempt remembers of itself."""

import pytest

from sluice.core.outcome import Released, TimedOut
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt


@pytest.mark.parametrize(("asked", "kept"), [(None, 300), (5, 5), (9_000, 300)])
def test_the_smaller_time_limit_counts(asked: float | None, kept: float) -> None:
    assert an_attempt(kinds.echo, timeout_s=asked).time_limit_s == kept


def test_the_first_reason_counts() -> None:
    attempt = an_attempt(kinds.echo)
    heard: list[bool] = []
    attempt.begin(lambda: heard.append(attempt.stopped is not None))
    attempt.stop(Released())
    attempt.time_out()
    assert isinstance(attempt.stopped, Released)
    assert heard == [True]


def test_a_job_is_given_back_if_its_lease_is_over_and_not_if_its_time_was_up_before() -> None:
    lost, late = an_attempt(kinds.echo), an_attempt(kinds.echo)
    late.time_out()
    for attempt in (lost, late):
        attempt.lose_lease()
    assert (type(lost.stopped), type(late.stopped)) == (Released, TimedOut)


def test_knows_for_how_long_it_has_outlived_its_limit() -> None:
    attempt = an_attempt(kinds.echo, timeout_s=5)
    assert attempt.late_s(attempt.started) == -5
    assert attempt.late_s(attempt.started + 7) == pytest.approx(2)
    attempt.waiting = True
    assert attempt.late_s(attempt.started + 7) < 0, "its time has not begun"


def test_says_how_it_stands() -> None:
    attempt = an_attempt(kinds.echo)
    assert repr(attempt).endswith("fence 1, running>")
    attempt.waiting = True
    assert repr(attempt).endswith("fence 1, waiting>")
    attempt.waiting = False
    attempt.stop(Released("going home"))
    assert repr(attempt).endswith("fence 1, stopped: Released('going home')>")
