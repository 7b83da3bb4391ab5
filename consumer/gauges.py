"""The consumer's gauges in /metrics; telemetry counts the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from consumer.hosts.hosts import Hosts
from consumer.intake.polling import FallbackPoller
from consumer.keeper.count_lanes import CountLanes
from consumer.keeper.verify_record import VerifyRecord
from consumer.lane_slots import LaneSlots

FULL_S = 30.0
"""Seconds for which a lane is full before /check says so."""


class Metrics(Protocol):
    """Where gauges are shown."""

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show `read()` as `sluice_<name>`."""

    def gauges(self, name: str, meaning: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Show each of `read()` as `sluice_<name>` with its key as this label."""


def show_own_gauges(
    metrics: Metrics, hosts: Hosts, slots: Sequence[LaneSlots], poller: FallbackPoller
) -> None:
    """Show the gauges of this process and its hosts."""
    stats = hosts.stats
    metrics.gauge("pulling", "1 while jobs are pulled from the record", lambda: poller.on)
    metrics.gauges("hosts", "Host processes that are alive", "host", lambda: hosts.add_up(lambda _: 1))
    metrics.gauges(
        "host_memory_bytes", "Resident memory of hosts", "host",
        lambda: hosts.add_up(lambda host: host.uses.memory_mib << 20),
    )  # fmt: skip
    metrics.gauges(
        "host_threads", "Threads of hosts", "host", lambda: hosts.add_up(lambda host: host.uses.threads)
    )
    metrics.gauges(
        "host_files", "Open files of hosts", "host", lambda: hosts.add_up(lambda host: host.uses.files)
    )
    metrics.gauges("hosts_replaced", "Hosts replaced since the start", "why", lambda: stats.replaced)
    metrics.gauges(
        "loop_blocked_seconds", "How long handlers blocked the event loop", "kind", lambda: stats.blocked_s
    )
    metrics.gauges(
        "stuck_handlers", "Handlers that went on after their jobs were over", "kind", lambda: stats.stuck
    )
    metrics.gauges(
        "quarantined", "1 for each kind that has a host of its own because it blocked or killed a shared one twice",
        "kind", lambda: dict.fromkeys(hosts.places.blame.kinds, 1),
    )  # fmt: skip
    metrics.gauges(
        "lane_full_seconds", "How long all slots of a lane have been taken without one becoming free", "lane",
        lambda: {each.lane.name: each.full_s for each in slots},
    )  # fmt: skip


def describe_hosts(hosts: Hosts, slots: Sequence[LaneSlots]) -> dict[str, Callable[[], str]]:
    """Return what /check says of hosts, in plain words."""
    return {
        "hosts": hosts.describe,
        "quarantine": lambda: ", ".join(hosts.places.blame.kinds) or "no kind",
        "weight": hosts.describe_weight,
        "full_lanes": lambda: ", ".join(map(_describe_full, filter(_is_full, slots))) or "none",
    }


def _is_full(slots: LaneSlots) -> bool:
    return slots.full_s > FULL_S


def _describe_full(slots: LaneSlots) -> str:
    return f"{slots.lane.name}: all {slots.lane.slots} slots taken, none free for {slots.full_s:.0f} s"


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
