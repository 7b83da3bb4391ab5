"""How many consumers the jobs of a lane want: for whatever adds and removes consumers, such as KEDA."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from sluice.core.queue_stats import LaneStatistics


class Scale(NamedTuple):
    """What waits and runs in the lanes of one group of consumers, what they have, and how many of them are wanted."""

    queued: int
    running: int
    consumers: int
    slots: int
    oldest_s: float
    wanted: int


def wanted_consumers(lane: LaneStatistics, wait_target_s: float, usual_slots: int) -> int:
    """Compute how many consumers let a job wait no longer than `wait_target_s`: never fewer than what runs fills, never more
    than there is work for.

    While nobody knows how long a run takes, each job gets a slot. `usual_slots` are those of one consumer while none lives.
    For what waits in a paused lane nobody is wanted.
    """
    queued = 0 if lane.paused else lane.queued
    mean_s = lane.times.mean_s if lane.times else wait_target_s
    begun = ceil(round(queued * mean_s / wait_target_s, 6))  # 12.000000000000002 are 12, not 13
    jobs = lane.running + min(queued, begun)
    slots, consumers = (lane.slots, lane.consumers) if lane.slots and lane.consumers else (usual_slots, 1)
    return -(-jobs * consumers // slots)


def add_lanes(lanes: list[tuple[LaneStatistics, int]], wait_target_s: float) -> Scale:
    """Put together the lanes, each with its usual slots, that one group of consumers serves.

    Each consumer has slots in every one of them, so the lane that wants most decides.
    """
    found = [lane for lane, _ in lanes]
    return Scale(
        queued=sum(lane.queued for lane in found),
        running=sum(lane.running for lane in found),
        consumers=max(lane.consumers for lane in found),
        slots=sum(lane.slots for lane in found),
        oldest_s=max(lane.oldest_queued_s for lane in found),
        wanted=max(wanted_consumers(lane, wait_target_s, usual) for lane, usual in lanes),
    )
