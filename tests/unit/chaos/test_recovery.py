"""Recovery times come from the record, and only what nothing else explains counts as late."""

from __future__ import annotations

import pytest

from tests.fault.chaos.fault_injector import InjectedFault
from tests.fault.chaos.record_snapshot import FailedAttempt, Row
from tests.fault.chaos.recovery import RESCUED_S, Recovery, broken, recoveries, table
from tests.fault.chaos.schedule import Fault


def row(created: float, finished: float | None) -> Row:
    return Row("a", "demo", 1, "chaos.sum", "succeeded", 1, 0, 0, 1, 1, None, created, finished)


def injected(kind: str, began: float, ended: float, pid: int | None = None) -> InjectedFault:
    return InjectedFault(Fault(began, kind, "somebody", ended - began), began, ended, pid)


def test_the_times_after_a_fault() -> None:
    rows = [row(100.0, 100.5), row(101.0, 118.0), row(103.5, 120.0), row(112.0, 113.0), row(113.0, 112.5)]
    (found,) = recoveries([injected("postgres-kill", 101.5, 110.0)], rows, [])
    assert found.pause == pytest.approx(6.5)
    assert found.accepts == pytest.approx(2.0)
    assert found.works == pytest.approx(2.5)
    assert found.rescued is None


def test_what_was_not_seen_has_no_time() -> None:
    (found,) = recoveries([injected("redis-kill", 10.0, 12.0)], [], [])
    assert (found.pause, found.accepts, found.works) == (2.0, None, None)


def test_jobs_are_taken_from_the_process_that_was_hit() -> None:
    attempts = [
        FailedAttempt("a", 1, "lease-lost", 7, 12.0),
        FailedAttempt("b", 1, "lease-lost", 7, 13.5),
        FailedAttempt("c", 1, "lease-lost", 8, 19.0),
        FailedAttempt("d", 1, "lease-lost", 7, 9.0),
        FailedAttempt("e", 1, "released", 7, 15.0),
    ]
    (found,) = recoveries([injected("consumer-kill", 10.0, 11.0, pid=7)], [], attempts)
    assert found.rescued == pytest.approx(3.5)


def recovery(kind: str, began: float, **times: float) -> Recovery:
    usual: dict[str, float | None] = {"accepts": 0.1, "works": 0.2, "rescued": None}
    return Recovery(injected(kind, began, began + 1), **({"pause": 0.1} | usual | times))  # type: ignore[arg-type]  # as named


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("postgres-kill", {"accepts": 5.1}),
        ("rabbitmq-wipe", {"works": 10.1}),
        ("consumer-kill", {"rescued": RESCUED_S + 0.1}),
        ("redis-kill", {"pause": 1.1}),
    ],
)
def test_what_takes_longer_than_promised_is_late(kind: str, times: dict[str, float]) -> None:
    late = recovery(kind, 100.0, **times)
    assert len(broken([late])) == 1
    assert broken([late], patience=2) == []
    assert broken([recovery(kind, 100.0)]) == []


def test_what_another_outage_explains_is_not_late() -> None:
    late = recovery("consumer-kill", 100.0, rescued=9.0)
    assert broken([late, recovery("postgres-kill", 102.0)]) == []
    assert len(broken([late, recovery("postgres-kill", 150.0)])) == 1
    assert len(broken([late, recovery("api-kill", 102.0)])) == 1


def test_the_table_has_a_row_for_each_kind() -> None:
    lines = table(
        [
            recovery("redis-kill", 1, pause=1.0),
            recovery("redis-kill", 50, pause=3.0),
            recovery("api-kill", 90),
        ]
    )
    assert [(line.kind, line.times) for line in lines] == [("api-kill", 1), ("redis-kill", 2)]
    assert lines[1].seconds["pause"] == (2.0, 3.0)
    assert lines[1].seconds["rescued"] is None
