"""What an attempt remembers of itself."""

import pytest

from sluice.core.outcome import LeaseLost, Released, TimedOut
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


def test_a_lost_lease_outdoes_every_other_reason() -> None:
    attempt = an_attempt(kinds.echo)
    attempt.stop(TimedOut())
    attempt.stop(LeaseLost())
    assert isinstance(attempt.stopped, LeaseLost)


def test_knows_when_it_has_run_for_too_long() -> None:
    attempt = an_attempt(kinds.echo)
    assert not attempt.overdue
    attempt.started -= attempt.time_limit_s + 1
    assert attempt.overdue
    attempt.waiting = True
    assert not attempt.overdue, "its time has not begun"


def test_says_how_it_stands() -> None:
    attempt = an_attempt(kinds.echo)
    assert repr(attempt).endswith("fence 1, running>")
    attempt.waiting = True
    assert repr(attempt).endswith("fence 1, waiting>")
    attempt.waiting = False
    attempt.stop(Released("going home"))
    assert repr(attempt).endswith("fence 1, stopped: Released('going home')>")
