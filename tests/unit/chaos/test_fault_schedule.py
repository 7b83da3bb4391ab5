"""The seed decides everything, and nothing else does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.fault.chaos.client_log import Violations
from tests.fault.chaos.fault_injector import FaultInjector
from tests.fault.chaos.host_faults import HostFaults
from tests.fault.chaos.schedule import (
    CLUSTER,
    FAILOVER,
    FULL,
    HOSTS,
    LEAD_S,
    SHORT,
    WITH_SPARES,
    ProcessCounts,
    kinds,
    repeated,
    schedule,
)
from tests.support.stack import Stack

PROCESSES = ProcessCounts()


def test_the_same_seed_breaks_the_same_things_at_the_same_times() -> None:
    assert schedule(7, 300, FULL, PROCESSES) == schedule(7, 300, FULL, PROCESSES)


def test_another_seed_breaks_other_things() -> None:
    assert schedule(7, 300, FULL, PROCESSES) != schedule(8, 300, FULL, PROCESSES)


@pytest.mark.parametrize("mix", [FULL, HOSTS, SHORT, FAILOVER, CLUSTER, repeated(SHORT, 3)])
def test_every_fault_of_the_mix_comes_in_time_and_order(mix: dict[str, int]) -> None:
    faults = schedule(3, 200, mix, PROCESSES)
    assert Counter(fault.kind for fault in faults) == Counter(mix)
    times = [fault.at_s for fault in faults]
    assert times == sorted(times)
    assert times[0] >= LEAD_S
    assert times[-1] < 200


def test_faults_hit_what_they_may_for_as_long_as_they_may() -> None:
    known = kinds(PROCESSES)
    for fault in schedule(5, 500, repeated(FULL, 10), PROCESSES):
        kind = known[fault.kind]
        assert fault.target in kind.targets
        assert kind.least_s - 0.05 <= fault.lasts_s <= kind.most_s + 0.05


def test_those_who_are_spared_are_left_alone() -> None:
    hit = {fault.target for fault in schedule(5, 500, repeated(FULL, 10), ProcessCounts(2, 3, spared=1))}
    assert {"api-0", "consumer-0", "consumer-1"} <= hit
    assert hit.isdisjoint({"api-1", "consumer-2"})


def test_the_full_mix_is_what_it_is_said_to_be() -> None:
    assert sum(FULL.values()) >= 45
    least = {
        "api-kill": 6, "consumer-kill": 12, "consumer-freeze": 6, "rabbitmq-kill": 3, "rabbitmq-freeze": 1,
        "rabbitmq-wipe": 1, "rabbitmq-alarm": 1, "redis-kill": 2, "redis-freeze": 1, "redis-flush": 1,
        "postgres-kill": 4, "postgres-freeze": 1, "wipe-and-flush": 1,
    }  # fmt: skip
    assert {name: FULL[name] for name in least} == least
    assert sum(number for name, number in FULL.items() if name.startswith("edge")) >= 6


def test_every_kind_of_fault_can_be_done() -> None:
    injector = FaultInjector(Stack.__new__(Stack), {}, HostFaults(Path()), Violations())
    assert set(injector.kinds) == set(kinds(PROCESSES)) == set(FULL) | WITH_SPARES
