"""How long it took until work went on after each fault, according to the record's own times."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from tests.fault.chaos.fault_injector import InjectedFault
from tests.fault.chaos.record_snapshot import FailedAttempt, Row
from tests.fault.chaos.schedule import LEASE_S

LOOK_S = 60.0
SWEEP_S = 2.0

ACCEPTS_AGAIN_S = 5.0
WORKS_AGAIN_S = 10.0
RESCUED_S = LEASE_S + SWEEP_S

LIMITS = {
    "postgres-kill": ("accepts", ACCEPTS_AGAIN_S), "postgres-freeze": ("accepts", ACCEPTS_AGAIN_S),
    "rabbitmq-kill": ("works", WORKS_AGAIN_S), "rabbitmq-wipe": ("works", WORKS_AGAIN_S),
    "postgres-hang": ("accepts", ACCEPTS_AGAIN_S), "rabbitmq-hang": ("works", WORKS_AGAIN_S),
    "rabbitmq-freeze": ("works", WORKS_AGAIN_S), "wipe-and-flush": ("works", WORKS_AGAIN_S),
    "consumer-kill": ("rescued", RESCUED_S), "consumer-freeze": ("rescued", RESCUED_S),
    "postgres-promote": ("accepts", ACCEPTS_AGAIN_S), "redis-switch": ("pause", 1.0),
    "leader-kill": ("works", WORKS_AGAIN_S), "leader-freeze": ("works", WORKS_AGAIN_S),
    "redis-kill": ("pause", 1.0), "redis-freeze": ("pause", 1.0), "redis-flush": ("pause", 1.0),
}  # fmt: skip
"""What is promised for a kind of fault: which of the times below, and its limit in seconds."""


class Recovery(NamedTuple):
    """Seconds after one fault; None if nothing of the kind was seen.

    `pause`: the longest time without an accepted job while it lasted. `accepts`: from its end until a job was accepted.
    `works`: from its end until a job that was accepted after it had finished. `rescued`: from its beginning until the last
    job of the process it hit was taken over, as far as that happened before the process went on.
    """

    injected: InjectedFault
    pause: float
    accepts: float | None
    works: float | None
    rescued: float | None


def recoveries(
    injected: Sequence[InjectedFault], rows: Sequence[Row], attempts: Sequence[FailedAttempt]
) -> list[Recovery]:
    """Return one recovery for each fault. `rows` come in the order of their creation."""
    created = [row.created for row in rows]
    lost: dict[int, list[float]] = defaultdict(list)
    for each in attempts:
        if each.outcome == "lease-lost" and each.pid is not None:
            lost[each.pid].append(each.at)
    return [_recovery(each, rows, created, lost) for each in injected]


def _recovery(
    injected: InjectedFault, rows: Sequence[Row], created: Sequence[float], lost: dict[int, list[float]]
) -> Recovery:
    first = bisect_left(created, injected.ended)
    later = rows[first : bisect_left(created, injected.ended + LOOK_S)]
    finished = [row.finished for row in later if row.finished is not None]
    last = injected.began + LOOK_S if injected.fault.kind == "consumer-kill" else injected.ended
    taken = [at for at in lost.get(injected.pid or 0, []) if injected.began <= at <= last]
    return Recovery(
        injected,
        pause=_longest_pause(created, injected.began, injected.ended),
        accepts=later[0].created - injected.ended if later else None,
        works=min(finished) - injected.ended if finished else None,
        rescued=max(taken) - injected.began if taken else None,
    )


def _longest_pause(created: Sequence[float], began: float, ended: float) -> float:
    inside = created[bisect_left(created, began) : bisect_left(created, ended)]
    return max(after - before for before, after in pairwise([began, *inside, ended]))


def broken(found: Sequence[Recovery], patience: float = 1.0) -> list[str]:
    """Name the limits that were exceeded where no other fault of a server explains it; `patience` stretches them."""
    return [
        _describe(each, *LIMITS[each.injected.fault.kind]) for each in found if _late(each, found, patience)
    ]


def _late(each: Recovery, found: Sequence[Recovery], patience: float) -> bool:
    if each.injected.fault.kind not in LIMITS:
        return False
    name, limit = LIMITS[each.injected.fault.kind]
    took = getattr(each, name)
    return took is not None and took > limit * patience and not _disturbed(each, found)


def _disturbed(each: Recovery, found: Sequence[Recovery]) -> bool:
    """Tell whether a server was away, or an edge misbehaved, while this one recovered."""
    until = each.injected.ended + WORKS_AGAIN_S
    return any(
        other is not each
        and not other.injected.fault.kind.startswith(("api", "consumer"))
        and other.injected.began < until
        and other.injected.ended > each.injected.began - WORKS_AGAIN_S
        for other in found
    )


def _describe(each: Recovery, name: str, limit: float) -> str:
    return f"{each.injected.fault}: {name} {getattr(each, name):.1f} s, more than {limit:.1f} s"


class RecoveryRow(NamedTuple):
    """All faults of one kind: the median and the longest of each time."""

    kind: str
    times: int
    seconds: dict[str, tuple[float, float] | None]


def table(found: Sequence[Recovery]) -> list[RecoveryRow]:
    """Return a row for each kind."""
    kinds = sorted({each.injected.fault.kind for each in found})
    return [_row(kind, [each for each in found if each.injected.fault.kind == kind]) for kind in kinds]


def _row(kind: str, found: Sequence[Recovery]) -> RecoveryRow:
    names = ("pause", "accepts", "works", "rescued")
    seen = {name: [took for each in found if (took := getattr(each, name)) is not None] for name in names}
    return RecoveryRow(
        kind, len(found), {name: (median(took), max(took)) if took else None for name, took in seen.items()}
    )
