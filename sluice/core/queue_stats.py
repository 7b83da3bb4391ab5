"""Statistics of each lane: what waits and runs in the record, and how fast the consumers work.

Each consumer reports on its own runs; the keeper that counts combines the reports with what the record holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sluice.core.errors import Malformed

V = TypeVar("V")

Mark = tuple[float, float]
"""A time of the record, and how many of the jobs that wait came until then."""


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True)


class Times(_Values):
    """How long the latest runs took, in seconds, from the claim to the end of the handler."""

    runs: int
    mean_s: float
    p50_s: float
    p90_s: float


class LaneWork(_Values):
    """One consumer's report on a lane. `per_second` counts runs that ended recently.

    `memory` is what all processes of the consumer hold, in bytes, the same in each of its lanes: releases that know nothing of it read
    no other place. It and `running` are None where the consumer is of such a release.
    """

    slots: int
    per_second: float
    times: Times | None = None
    kinds: dict[str, Times] = {}
    running: int | None = None
    memory: int | None = None


class LanePause(_Values):
    """Since when an operator has paused a lane, why, and by which key (its id)."""

    since: datetime
    reason: str
    by: str


class LaneCount(_Values):
    """What the record holds about a lane. Ages are in seconds, 0 if nothing waits; `tenants` are those with most queued.

    `counted_at` is the record's time, in seconds since the epoch. `queued_bytes` are those of the inputs that wait, estimated; 0 if nobody
    asked for them.
    """

    queued: int
    running: int
    oldest_queued_s: float
    oldest_undispatched_s: float
    newest_queued_s: float = 0.0
    counted_at: float = 0.0
    queued_bytes: int = 0
    tenants: dict[str, int] = {}
    paused: LanePause | None = None


class LaneStatistics(LaneCount):
    """A lane as a whole: what the record holds, and the runs of all consumers together. It is counted again in `rest_s` seconds.

    `arrivals` tell, in order, when those came that wait.
    """

    rest_s: float = 0.0
    consumers: int = 0
    slots: int = 0
    per_second: float = 0.0
    times: Times | None = None
    kinds: dict[str, Times] = {}
    arrivals: list[Mark] = []

    @property
    def wait_s(self) -> float:
        """Estimate how many seconds a job that is queued now will wait for a slot (Little's law).

        Slots divided by the mean run time are jobs per second. If that is unknown, or the lane is paused, a new job is expected
        to wait as long as the oldest one has waited.
        """
        if self.slots and self.times and not self.paused:
            return self.queued * self.times.mean_s / self.slots
        return self.oldest_queued_s

    @property
    def typical_s(self) -> float:
        """Seconds that a run takes (median); 0 if nothing is known."""
        return self.times.p50_s if self.times else 0.0


Works = Mapping[str, LaneWork]
Statistics = Mapping[str, LaneStatistics]

_WORKS = TypeAdapter(dict[str, LaneWork])
_STATISTICS = TypeAdapter(dict[str, LaneStatistics])


def measured(seconds: Collection[float]) -> Times:
    """Summarise runs, at least one, in any order."""
    ordered, runs = sorted(seconds), len(seconds)
    return Times(
        runs=runs, mean_s=sum(ordered) / runs, p50_s=ordered[runs // 2], p90_s=ordered[runs * 9 // 10]
    )


def put_together(
    counts: Mapping[str, LaneCount], reports: Iterable[Works], rest_s: float = 0.0
) -> dict[str, LaneStatistics]:
    """Combine what was counted in each lane with the reports of all consumers."""
    reports = list(reports)
    return {
        lane: _lane(count, [each[lane] for each in reports if lane in each], rest_s)
        for lane, count in counts.items()
    }


def _lane(count: LaneCount, works: Sequence[LaneWork], rest_s: float) -> LaneStatistics:
    kinds = {kind for work in works for kind in work.kinds}
    return LaneStatistics(
        **dict(count),
        rest_s=rest_s,
        consumers=len(works),
        slots=sum(work.slots for work in works),
        per_second=sum(work.per_second for work in works),
        times=_together([work.times for work in works]),
        kinds={
            kind: found for kind in kinds if (found := _together([work.kinds.get(kind) for work in works]))
        },
    )


def _together(times: Iterable[Times | None]) -> Times | None:
    """Average the times of all consumers, weighted by runs: exact for the mean, an approximation for the quantiles."""
    known = [each for each in times if each is not None and each.runs]
    runs = sum(each.runs for each in known)
    if not runs:
        return None
    shares = [(each, each.runs / runs) for each in known]
    return Times(
        runs=runs,
        mean_s=sum(each.mean_s * share for each, share in shares),
        p50_s=sum(each.p50_s * share for each, share in shares),
        p90_s=sum(each.p90_s * share for each, share in shares),
    )


def write_works(works: Works) -> bytes:
    """Encode a consumer's report as JSON."""
    return _WORKS.dump_json(dict(works))


def read_works(raw: bytes | str) -> Works:
    """Decode it. Raises Malformed for what another release wrote differently."""
    return _read(_WORKS, raw)


def write_statistics(statistics: Statistics) -> bytes:
    """Encode the statistics of all lanes as JSON."""
    return _STATISTICS.dump_json(dict(statistics))


def read_statistics(raw: bytes | str) -> Statistics:
    """Decode it. Raises Malformed for what another release wrote differently."""
    return _read(_STATISTICS, raw)


def _read(adapter: TypeAdapter[V], raw: bytes | str) -> V:
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        raise Malformed("not what this release writes") from error
