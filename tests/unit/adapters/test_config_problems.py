"""Doubts about the servers: said once, shown while they last, and some end the process."""

from __future__ import annotations

import pytest

from sluice.adapters.server_checks import ConfigProblems
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import StartRefused
from tests.support.fakes import Events


def test_a_doubt_is_said_when_it_is_new_and_shown_while_it_lasts() -> None:
    events = Events()
    config_problems = ConfigProblems(Telemetry(events))
    config_problems.report("redis", ["one"])
    config_problems.report("redis", ["one", "two"])
    config_problems.report("postgresql", ["three"])
    assert config_problems.lines == ["one", "two", "three"]
    config_problems.report("redis", [])
    assert config_problems.lines == ["three"]
    config_problems.report("redis", ["one"])
    assert [fields["why"] for fields in events.fields(Event.DOUBTED)] == ["one", "two", "three", "one"]


def test_a_refusal_stops_the_process_once_and_ends_it_with_the_first_line() -> None:
    config_problems, stops = ConfigProblems(Telemetry()), []
    config_problems.check()
    config_problems.on_refusal(lambda: stops.append(1))
    assert stops == []
    config_problems.refuse("first")
    config_problems.refuse("second")
    assert stops == [1]
    with pytest.raises(StartRefused, match="first"):
        config_problems.check()


def test_a_refusal_that_came_before_anybody_could_stop_stops_at_once() -> None:
    config_problems, stops = ConfigProblems(Telemetry()), []
    config_problems.refuse("early")
    config_problems.on_refusal(lambda: stops.append(1))
    assert stops == [1]
