"""Show what the record tells as metrics: the lanes, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from functools import partial
from typing import Protocol

from sluice.core.count_lanes import CountLanes
from sluice.core.queue_stats import LanePause, LaneStatistics
from sluice.core.runtime.record_clock import RecordClock


class Metrics(Protocol):
    """Where gauges are shown."""

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show `read()` as `sluice_<name>`."""

    def gauges(self, name: str, meaning: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Show each of `read()` as `sluice_<name>` with its key as this label."""

    def counters(self, name: str, meaning: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Show each of `read()`, which only grows, as `sluice_<name>_total` with its key as this label."""


def show_lane_gauges(metrics: Metrics, count: CountLanes) -> None:
    """Show lanes as the record has them: every process shows the same, so do not add them up."""
    figures: dict[str, tuple[str, Callable[[LaneStatistics], float]]] = {
        "queued_jobs": ("jobs that wait for a slot, counted up to 200,000", lambda lane: lane.queued),
        "queued_input_bytes": (
            "bytes of the inputs of jobs that wait, estimated; 0 without SLUICE_BACKLOG_MIB",
            lambda lane: lane.queued_bytes,
        ),
        "running_jobs": ("running jobs", lambda lane: lane.running),
        "lane_slots": (
            "slots of all living consumers that serve the lane; 0 if none does",
            lambda lane: lane.slots,
        ),
        "oldest_queued_seconds": (
            "how long the oldest queued job has waited",
            lambda lane: lane.oldest_queued_s,
        ),
        "lane_paused": ("1 while an operator pauses the lane, else 0", lambda lane: lane.paused is not None),
    }
    for name, (meaning, figure) in figures.items():
        metrics.gauges(
            name, f"{meaning}, by lane; every process shows the same", "lane", partial(count.read, figure)
        )
    metrics.gauge(
        "oldest_undispatched_seconds",
        "the longest time that a queued job has waited for RabbitMQ to confirm its message",
        count.oldest_undispatched_s,
    )


def describe_pauses(paused: Mapping[str, LanePause | None]) -> str:
    """Describe which of these lanes are paused, for /check."""
    lines = (
        f"{lane}, since {pause.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {pause.reason}"
        for lane, pause in paused.items()
        if pause
    )
    return "; ".join(lines) or "none"


def show_clock(metrics: Metrics, clock: RecordClock) -> None:
    """Show how wrong the clock of this machine is, if PostgreSQL's is right."""
    metrics.gauge(
        "record_clock_offset_seconds",
        "How far PostgreSQL's clock is ahead of this process's",
        lambda: clock.ahead_s,
    )
