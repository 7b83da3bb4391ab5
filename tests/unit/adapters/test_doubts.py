"""Doubts about the servers: said once, shown while they last, and some end the process."""

from __future__ import annotations

import pytest

from adapters.doubts import Doubts
from core.errors import StartRefused
from core.telemetry import Event, Telemetry
from tests.fakes import Events


def test_a_doubt_is_said_when_it_is_new_and_shown_while_it_lasts() -> None:
    events = Events()
    doubts = Doubts(Telemetry(events))
    doubts.note("redis", ["one"])
    doubts.note("redis", ["one", "two"])
    doubts.note("postgresql", ["three"])
    assert doubts.lines == ["one", "two", "three"]
    doubts.note("redis", [])
    assert doubts.lines == ["three"]
    doubts.note("redis", ["one"])
    assert [fields["why"] for fields in events.fields(Event.DOUBTED)] == ["one", "two", "three", "one"]


def test_a_refusal_stops_the_process_once_and_ends_it_with_the_first_line() -> None:
    doubts, stops = Doubts(Telemetry()), []
    doubts.check()
    doubts.on_refusal(lambda: stops.append(1))
    assert stops == []
    doubts.refuse("first")
    doubts.refuse("second")
    assert stops == [1]
    with pytest.raises(StartRefused, match="first"):
        doubts.check()


def test_a_refusal_that_came_before_anybody_could_stop_stops_at_once() -> None:
    doubts, stops = Doubts(Telemetry()), []
    doubts.refuse("early")
    doubts.on_refusal(lambda: stops.append(1))
    assert stops == [1]
