"""The consumer's gauges in /metrics; telemetry counts the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from consumer.hosts.hosts import Hosts
from consumer.intake.polling import FallbackPoller
from consumer.keeper.verify_record import VerifyRecord
from consumer.lane_slots import LaneSlots
from sluice.core.lane_gauges import Metrics

RUNAWAY_S = 600.0
"""Seconds for which /check tells of a handler that would not end."""

FULL_S = 30.0
"""Seconds for which a lane is full before /check says so."""


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
    metrics.counters("hosts_replaced", "Hosts replaced since the start", "why", lambda: stats.replaced)
    metrics.counters(
        "loop_blocked_seconds", "How long handlers blocked the event loop", "kind", lambda: stats.blocked_s
    )
    metrics.counters(
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


def describe_troubles(hosts: Hosts, slots: Sequence[LaneSlots], longest_s: Mapping[str, float]) -> list[str]:
    """Describe what turns /check red: lanes that starve, and kinds whose handlers would not end a while ago.

    `longest_s` has the longest time limit of the kinds of each lane: one that has been full for longer does not move.
    """
    starving = [each for each in slots if each.full_s > max(FULL_S, longest_s.get(each.lane.name, 0.0))]
    recent = [kind for kind, at in hosts.stats.stuck_at.items() if monotonic() < at + RUNAWAY_S]
    return [
        f"the lane {each.lane.name!r} starves: {_describe_full(each)}, which is longer than any of its kinds may run. Remedy: find what "
        "hangs in the log (handlers_stuck, loops_blocked); restarting this consumer gives its jobs to others"
        for each in starving
    ] + [
        f"handlers of the kind {kind!r} went on after their jobs were over, {hosts.stats.stuck[kind]} since the start. Remedy: let them "
        "look at context.should_stop(), or run them in a process, which can be ended"
        for kind in recent
    ]


def _is_full(slots: LaneSlots) -> bool:
    return slots.full_s > FULL_S


def _describe_full(slots: LaneSlots) -> str:
    return f"{slots.lane.name}: all {slots.lane.slots} slots taken, none free for {slots.full_s:.0f} s"


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
