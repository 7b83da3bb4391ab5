"""How long it took until work went on after each fault, found in the record's own times."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from tests.fault.chaos.fault_injector import Done
from tests.fault.chaos.record_snapshot import Ended, Row
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
    "redis-kill": ("pause", 1.0), "redis-freeze": ("pause", 1.0), "redis-flush": ("pause", 1.0),
}  # fmt: skip
"""What is promised for a kind of fault: which of the times below, and its limit in seconds."""


class Recovery(NamedTuple):
    """Seconds after one fault; None where nothing of the kind was seen.

    `pause`: the longest time without an accepted job while it lasted. `accepts`: from its end until a job was accepted.
    `works`: from its end until a job that was accepted after it had finished. `rescued`: from its beginning until the
    last job of the process that it hit was taken from it, as far as that happened before it went on.
    """

    done: Done
    pause: float
    accepts: float | None
    works: float | None
    rescued: float | None


def recoveries(done: Sequence[Done], rows: Sequence[Row], attempts: Sequence[Ended]) -> list[Recovery]:
    """One for each fault. `rows` come in the order of their creation."""
    created = [row.created for row in rows]
    lost: dict[int, list[float]] = defaultdict(list)
    for each in attempts:
        if each.outcome == "lease-lost" and each.pid is not None:
            lost[each.pid].append(each.at)
    return [_recovery(each, rows, created, lost) for each in done]


def _recovery(
    done: Done, rows: Sequence[Row], created: Sequence[float], lost: dict[int, list[float]]
) -> Recovery:
    first = bisect_left(created, done.ended)
    later = rows[first : bisect_left(created, done.ended + LOOK_S)]
    finished = [row.finished for row in later if row.finished is not None]
    last = done.began + LOOK_S if done.fault.kind == "consumer-kill" else done.ended
    taken = [at for at in lost.get(done.pid or 0, []) if done.began <= at <= last]
    return Recovery(
        done,
        pause=_longest_pause(created, done.began, done.ended),
        accepts=later[0].created - done.ended if later else None,
        works=min(finished) - done.ended if finished else None,
        rescued=max(taken) - done.began if taken else None,
    )


def _longest_pause(created: Sequence[float], began: float, ended: float) -> float:
    inside = created[bisect_left(created, began) : bisect_left(created, ended)]
    return max(after - before for before, after in pairwise([began, *inside, ended]))


def broken(found: Sequence[Recovery], patience: float = 1.0) -> list[str]:
    """Limits that were exceeded, where no other fault of a server explains it; `patience` stretches them."""
    return [_told(each, *LIMITS[each.done.fault.kind]) for each in found if _late(each, found, patience)]


def _late(each: Recovery, found: Sequence[Recovery], patience: float) -> bool:
    if each.done.fault.kind not in LIMITS:
        return False
    name, limit = LIMITS[each.done.fault.kind]
    took = getattr(each, name)
    return took is not None and took > limit * patience and not _disturbed(each, found)


def _disturbed(each: Recovery, found: Sequence[Recovery]) -> bool:
    """Whether a server was away, or an edge troubled, while this one recovered."""
    until = each.done.ended + WORKS_AGAIN_S
    return any(
        other is not each
        and not other.done.fault.kind.startswith(("api", "consumer"))
        and other.done.began < until
        and other.done.ended > each.done.began - WORKS_AGAIN_S
        for other in found
    )


def _told(each: Recovery, name: str, limit: float) -> str:
    return f"{each.done.fault}: {name} {getattr(each, name):.1f} s, more than {limit:.1f} s"


class Line(NamedTuple):
    """All faults of one kind: of each time the median and the longest."""

    kind: str
    times: int
    seconds: dict[str, tuple[float, float] | None]


def table(found: Sequence[Recovery]) -> list[Line]:
    """A line for each kind."""
    kinds = sorted({each.done.fault.kind for each in found})
    return [_line(kind, [each for each in found if each.done.fault.kind == kind]) for kind in kinds]


def _line(kind: str, found: Sequence[Recovery]) -> Line:
    names = ("pause", "accepts", "works", "rescued")
    seen = {name: [took for each in found if (took := getattr(each, name)) is not None] for name in names}
    return Line(
        kind, len(found), {name: (median(took), max(took)) if took else None for name, took in seen.items()}
    )
