"""What is known of each lane: what waits and runs by the record, and how quickly the consumers work.

Consumers say what they know of their own work; whichever keeper counts puts that together with what the record holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sluice.core.errors import Malformed

V = TypeVar("V")


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True)


class Times(_Values):
    """How long the newest runs took, in seconds, from the claim to the end of the work."""

    runs: int
    mean_s: float
    p50_s: float
    p90_s: float


class LaneWork(_Values):
    """What one consumer knows of its work for a lane. `per_second` counts runs that ended lately."""

    slots: int
    per_second: float
    times: Times | None = None
    kinds: dict[str, Times] = {}


class LaneCount(_Values):
    """What the record holds of a lane. Ages in seconds, 0 where there is nothing; `tenants` those with most queued."""

    queued: int
    running: int
    oldest_queued_s: float
    oldest_undispatched_s: float
    tenants: dict[str, int] = {}


class LaneStatistics(LaneCount):
    """A lane as a whole: counted, and worked for by all consumers together."""

    slots: int = 0
    per_second: float = 0.0
    times: Times | None = None
    kinds: dict[str, Times] = {}

    @property
    def wait_s(self) -> float:
        """How long a job that is queued now will wait for a slot, as far as can be told.

        Slots over the mean time in a slot is what can be done in a second; where that is not known, a new job waits as
        long as the oldest has waited.
        """
        if self.slots and self.times:
            return self.queued * self.times.mean_s / self.slots
        return self.oldest_queued_s

    @property
    def typical_s(self) -> float:
        """How long a run takes; 0 where nothing is known."""
        return self.times.p50_s if self.times else 0.0


Works = Mapping[str, LaneWork]
Statistics = Mapping[str, LaneStatistics]

_WORKS = TypeAdapter(dict[str, LaneWork])
_STATISTICS = TypeAdapter(dict[str, LaneStatistics])
_LANE = TypeAdapter(LaneStatistics)


def measured(seconds: Collection[float]) -> Times:
    """What these runs, in any order, say together; there is at least one."""
    ordered, runs = sorted(seconds), len(seconds)
    return Times(
        runs=runs, mean_s=sum(ordered) / runs, p50_s=ordered[runs // 2], p90_s=ordered[runs * 9 // 10]
    )


def put_together(counts: Mapping[str, LaneCount], reports: Iterable[Works]) -> dict[str, LaneStatistics]:
    """The statistics of every lane that was counted, from what all consumers report."""
    reports = list(reports)
    return {
        lane: _lane(count, [each[lane] for each in reports if lane in each]) for lane, count in counts.items()
    }


def _lane(count: LaneCount, works: Sequence[LaneWork]) -> LaneStatistics:
    kinds = {kind for work in works for kind in work.kinds}
    return LaneStatistics(
        **dict(count),
        slots=sum(work.slots for work in works),
        per_second=sum(work.per_second for work in works),
        times=_together([work.times for work in works]),
        kinds={
            kind: found for kind in kinds if (found := _together([work.kinds.get(kind) for work in works]))
        },
    )


def _together(times: Iterable[Times | None]) -> Times | None:
    """Each consumer's times weigh as much as its runs: exact for the mean, near enough for the others."""
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
    """A consumer's report as JSON."""
    return _WORKS.dump_json(dict(works))


def read_works(raw: bytes | str) -> Works:
    """The inverse. Raises Malformed for what another release wrote otherwise."""
    return _read(_WORKS, raw)


def write_statistics(statistics: Statistics) -> bytes:
    """All lanes as JSON."""
    return _STATISTICS.dump_json(dict(statistics))


def read_statistics(raw: bytes | str) -> Statistics:
    """The inverse. Raises Malformed for what another release wrote otherwise."""
    return _read(_STATISTICS, raw)


def read_lane(raw: bytes | str) -> LaneStatistics:
    """One lane's. Raises Malformed."""
    return _read(_LANE, raw)


def _read(adapter: TypeAdapter[V], raw: bytes | str) -> V:
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        raise Malformed("not what this release writes") from error
