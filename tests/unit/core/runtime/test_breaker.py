"""The breaker opens after a few failures in a row; the first call that works closes it."""

from __future__ import annotations

import pytest

from sluice.core.errors import CredentialsRefused, ServerAway, ServerRefused, WritesRefused
from sluice.core.runtime.breaker import REFUSAL_S, Breaker
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def breaker(clock: Clock, events: Events) -> Breaker:
    return Breaker("redis", Telemetry(events), clock, failures=3, probe_s=0.5)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(ServerAway("redis", "it is gone"))


def test_a_few_failures_leave_it_closed(breaker: Breaker, events: Events) -> None:
    fail(breaker, 2)
    breaker.check()
    assert not breaker.open
    assert repr(breaker) == "<Breaker redis: closed>"
    assert events == []


def test_failures_count_only_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.worked()
    fail(breaker, 2)
    breaker.check()


def test_it_opens_and_says_so_once(breaker: Breaker, events: Events) -> None:
    fail(breaker, 5)
    assert repr(breaker) == "<Breaker redis: open>"
    assert events == [(Event.SERVER_AWAY, 1, {"server": "redis", "why": "redis: it is gone"})]
    with pytest.raises(ServerAway, match="redis: is away"):
        breaker.check()


def test_while_it_is_open_it_says_what_a_person_has_to_mend(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.failed(CredentialsRefused("redis"))
    with pytest.raises(CredentialsRefused, match="the password in SLUICE_REDIS_URL"):
        breaker.check()
    breaker.failed(ServerAway("redis"))
    with pytest.raises(ServerAway, match="redis: is away"):
        breaker.check()


def test_it_lets_one_call_through_per_interval(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 0.49
    with pytest.raises(ServerAway):
        breaker.check()
    clock.now += 0.01
    breaker.check()
    with pytest.raises(ServerAway):
        breaker.check()
    clock.now += 0.5
    breaker.check()


def test_a_probe_that_works_closes_it_and_says_so_once(breaker: Breaker, events: Events) -> None:
    fail(breaker, 3)
    breaker.worked()
    breaker.worked()
    breaker.check()
    assert [event for event, _, _ in events] == [Event.SERVER_AWAY, Event.SERVER_BACK]


def test_a_server_that_always_worked_is_never_said_to_be_back(breaker: Breaker, events: Events) -> None:
    breaker.worked()
    assert events == []


def test_refusals_leave_it_closed_and_each_reason_is_told_once_in_a_row(
    breaker: Breaker, clock: Clock, events: Events
) -> None:
    refusals = [ServerRefused("redis", "OOM"), WritesRefused("redis", "is read-only")]
    for _ in range(3):
        for refusal in refusals:
            breaker.refused(refusal, call="SET", said="it said")
        clock.now += REFUSAL_S - 1
    breaker.check()
    assert breaker.refusals == refusals
    assert [event for event, _, _ in events] == [Event.SERVER_REFUSED, Event.WRITES_REFUSED]
    assert events[0][2] == {
        "server": "redis", "why": "redis: refused with OOM", "call": "SET", "said": "it said"
    }  # fmt: skip
    clock.now += 1
    assert breaker.refusals == []
    breaker.refused(refusals[0], call="SET", said="it said")
    assert events.count(Event.SERVER_REFUSED) == 2


def test_a_refusal_is_an_answer(breaker: Breaker, events: Events) -> None:
    fail(breaker, 3)
    breaker.refused(ServerRefused("redis", "OOM"), call="SET", said="it said")
    assert not breaker.open
    assert events.count(Event.SERVER_BACK) == 1
