"""Events and their sinks."""

from __future__ import annotations

from typing import Any

from sluice.core.runtime.telemetry import Event, Telemetry


def test_every_sink_hears_of_an_event_with_its_count_and_fields() -> None:
    heard: list[tuple[int, Event, int, dict[str, Any]]] = []
    telemetry = Telemetry(lambda *event: heard.append((1, *event)), lambda *event: heard.append((2, *event)))
    telemetry.emit(Event.ACCEPTED, 3, lane="heavy")
    assert heard == [(1, Event.ACCEPTED, 3, {"lane": "heavy"}), (2, Event.ACCEPTED, 3, {"lane": "heavy"})]


def test_a_count_of_zero_is_not_emitted() -> None:
    heard: list[object] = []
    Telemetry(lambda *event: heard.append(event)).emit(Event.ACCEPTED, 0)
    assert heard == []


def test_nobody_needs_to_listen() -> None:
    Telemetry().emit(Event.ACCEPTED)
