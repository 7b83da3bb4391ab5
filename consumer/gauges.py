"""The consumer's gauges in /metrics; telemetry counts the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from consumer.intake.polling import FallbackPoller
from consumer.keeper.count_lanes import CountLanes
from consumer.keeper.verify_record import VerifyRecord
from consumer.loop_watchdog import BlockedTimes


class Metrics(Protocol):
    """Where gauges are shown."""

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show `read()` as `sluice_<name>`."""

    def gauges(self, name: str, meaning: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Show each of `read()` as `sluice_<name>` with its key as this label."""


def show_own_gauges(metrics: Metrics, blocked: BlockedTimes, poller: FallbackPoller) -> None:
    """Show the gauges of this process alone."""
    metrics.gauges(
        "loop_blocked_seconds", "How long handlers blocked the event loop", "kind", lambda: blocked.seconds
    )
    metrics.gauge("pulling", "1 while jobs are pulled from the record", lambda: poller.on)


def show_lane_gauges(metrics: Metrics, count: CountLanes) -> None:
    """Show lanes as the record has them: every consumer shows the same, so do not add them up."""
    metrics.gauges(
        "queued_jobs", "Jobs that wait for a slot", "lane", lambda: count.read(lambda lane: lane.queued)
    )
    metrics.gauges("running_jobs", "Jobs that run", "lane", lambda: count.read(lambda lane: lane.running))
    metrics.gauges(
        "oldest_queued_seconds",
        "How long the oldest queued job has waited",
        "lane",
        lambda: count.read(lambda lane: lane.oldest_queued_s),
    )
    metrics.gauge(
        "oldest_undispatched_seconds",
        "How long the oldest queued job has waited for RabbitMQ to confirm its message",
        count.oldest_undispatched_s,
    )


def show_verification_gauges(metrics: Metrics, verification: VerifyRecord) -> None:
    """Show whether the invariants of the record hold."""
    metrics.gauges(
        "invariant_violations", "Offenders against each invariant", "check", lambda: verification.violations
    )
    metrics.gauge(
        "verified_timestamp_seconds",
        "When this process last verified the record",
        lambda: verification.verified_at,
    )
