"""What a consumer shows under /metrics of its parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from consumer.gauges import show_lane_gauges, show_own_gauges, show_verification_gauges
from consumer.loop_watchdog import BlockedTimes, Blocker
from sluice.adapters.metrics import Metrics
from sluice.core.queue_stats import LaneStatistics
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events


def lines(metrics: Metrics) -> set[str]:
    """The figures of our own that a scrape shows."""
    return {line for line in metrics.render().decode().splitlines() if line.startswith("sluice_")}


def test_the_event_loops_blockages_and_the_intake_are_shown() -> None:
    metrics, events = Metrics(), Events()
    blocked = BlockedTimes(Telemetry(events))
    show_own_gauges(metrics, blocked, cast(Any, SimpleNamespace(on=True)))
    for seconds in (1.25, 0.5):
        blocked.add(Blocker("demo.sum", "kinds.py:1 in total"), seconds)
    assert lines(metrics) >= {'sluice_loop_blocked_seconds{kind="demo.sum"} 1.75', "sluice_pulling 1.0"}
    assert events.fields(Event.BLOCKED)[0] == {
        "kind": "demo.sum",
        "where": "kinds.py:1 in total",
        "seconds": 1.2,
    }


def test_lanes_and_invariants_are_shown() -> None:
    metrics = Metrics()
    found = LaneStatistics(
        queued=4, running=2, oldest_queued_s=7, oldest_undispatched_s=3, slots=8, per_second=1
    )
    count = SimpleNamespace(
        read=lambda figure: {"default": figure(found)}, oldest_undispatched_s=lambda: found.oldest_undispatched_s
    )  # fmt: skip
    show_lane_gauges(metrics, cast(Any, count))
    show_verification_gauges(metrics, cast(Any, SimpleNamespace(violations={"lost": 1}, verified_at=5.0)))
    assert lines(metrics) >= {
        'sluice_queued_jobs{lane="default"} 4.0',
        'sluice_running_jobs{lane="default"} 2.0',
        'sluice_oldest_queued_seconds{lane="default"} 7.0',
        "sluice_oldest_undispatched_seconds 3.0",
        'sluice_invariant_violations{check="lost"} 1.0',
        "sluice_verified_timestamp_seconds 5.0",
    }
