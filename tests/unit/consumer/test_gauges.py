"""What a consumer shows under /metrics of its parts."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from consumer.gauges import (
    RUNAWAY_S,
    describe_hosts,
    describe_troubles,
    show_own_gauges,
    show_verification_gauges,
)
from consumer.hosts.child import HostSpec
from consumer.hosts.descendants import Descendants
from consumer.hosts.host import Measures
from consumer.hosts.host_stats import HostStats
from consumer.hosts.hosts import Hosts, Wear
from consumer.lane_slots import LaneSlots
from sluice.adapters.metrics import Metrics
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Telemetry
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt


def lines(metrics: Metrics) -> set[str]:
    """The figures of our own that a scrape shows."""
    return {line for line in metrics.render()[1].decode().splitlines() if line.startswith("sluice_")}


def a_host(name: str, **uses: float) -> Any:
    """A host, as far as gauges look at it."""
    return SimpleNamespace(
        name=name, uses=Measures(**cast(Any, uses)), blocked_at="", weight="nice 19", ending=False
    )


def hosts_of(*alive: Any) -> Any:
    """The hosts of a consumer that has these alive."""
    spec = HostSpec((), 0, start_s=1, grace_s=1, blocked_s=1, descendants=Descendants(False))
    hosts = Hosts(spec, Wear(1, 1), HostStats(Telemetry()), lambda: None)
    hosts.slots._idle.extend(alive)
    for host in alive:
        host.gone = SimpleNamespace(is_set=lambda: False)
    return hosts


def test_what_hosts_use_is_added_up_by_what_they_are_for() -> None:
    metrics = Metrics()
    hosts = hosts_of(
        a_host("shared", memory_mib=100, threads=3, files=20),
        a_host("slot", memory_mib=40, threads=2, files=10),
        a_host("slot", memory_mib=1, threads=2, files=11),
    )
    show_own_gauges(metrics, hosts, [], cast(Any, SimpleNamespace(on=True)))
    assert lines(metrics) >= {
        'sluice_hosts{host="shared"} 1.0', 'sluice_hosts{host="slot"} 2.0',
        'sluice_host_memory_bytes{host="slot"} 4.2991616e+07',
        'sluice_host_threads{host="slot"} 4.0', 'sluice_host_files{host="slot"} 21.0', "sluice_pulling 1.0",
    }  # fmt: skip


def test_what_kinds_have_done_to_hosts_is_shown() -> None:
    metrics, hosts = Metrics(), hosts_of(a_host("shared"))
    show_own_gauges(metrics, hosts, [], cast(Any, SimpleNamespace(on=False)))
    for seconds in (1.25, 0.5):
        hosts.stats.blocked_s["t.block"] += seconds
    hosts.stats.add_stuck("shared", an_attempt(kinds.in_thread))
    hosts.stats.add_renewed("shared", "jobs")
    for _ in range(2):
        hosts.places.strike("t.block")
    assert lines(metrics) >= {
        'sluice_loop_blocked_seconds_total{kind="t.block"} 1.75',
        'sluice_stuck_handlers_total{kind="t.thread"} 1.0',
        'sluice_hosts_replaced_total{why="jobs"} 1.0',
        'sluice_quarantined{kind="t.block"} 1.0',
    }


def test_check_says_in_words_how_hosts_and_lanes_stand() -> None:
    blocked = a_host("shared")
    blocked.blocked_at = "kinds.py:1 in total"
    hosts, slots = hosts_of(blocked, a_host("slot")), LaneSlots(Lane("default", 2, 16))
    said = describe_hosts(hosts, [slots])
    assert {name: say() for name, say in said.items()} == {
        "hosts": "1 shared, 1 slot; shared is blocked at kinds.py:1 in total",
        "quarantine": "no kind",
        "weight": "nice 19",
        "full_lanes": "none",
    }
    slots.take(2)
    slots._freed_at -= 31
    for _ in range(2):
        hosts.places.strike("t.block")
    assert said["full_lanes"]() == "default: all 2 slots taken, none free for 31 s"
    assert said["quarantine"]() == "t.block"


def test_lanes_that_starve_and_handlers_that_would_not_end_are_troubles() -> None:
    hosts, slots = hosts_of(a_host("shared")), LaneSlots(Lane("default", 2, 16))
    ask = partial(describe_troubles, hosts, [slots], {"default": 300.0})
    slots.take(2)
    slots._freed_at -= 299
    assert ask() == []
    slots._freed_at -= 2
    assert ask()[0].startswith("the lane 'default' starves: default: all 2 slots taken, none free for 301 s")
    slots.free()
    assert ask() == []
    hosts.stats.add_stuck("shared", an_attempt(kinds.in_thread))
    assert ask()[0].startswith("handlers of the kind 't.thread' went on after their jobs were over, 1 since")
    hosts.stats.stuck_at["t.thread"] -= RUNAWAY_S
    assert ask() == []


def test_invariants_are_shown() -> None:
    metrics = Metrics()
    show_verification_gauges(metrics, cast(Any, SimpleNamespace(violations={"lost": 1}, verified_at=5.0)))
    assert lines(metrics) >= {
        'sluice_invariant_violations{check="lost"} 1.0',
        "sluice_verified_timestamp_seconds 5.0",
    }
