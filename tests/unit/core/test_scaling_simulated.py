"""What becomes of a fleet that HPA and KEDA scale by `wanted`: simulated second by second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import pytest

from sluice.core.queue_stats import LaneStatistics, measured
from sluice.core.scaling import wanted_consumers

SYNC_S, TOLERANCE = 15, 0.1
"""How often HPA looks, and which deviation it leaves alone; Kubernetes' defaults."""
CALM_S, SCALE_IN_EVERY_S = 300, 120
"""The scale-down behaviour that our chart sets: one pod per 2 minutes, by the highest wish of the last 5."""
POD_START_S, BOARD_LAG_S = 10, 3
MOST_PODS, SLOTS, TARGET_S, HOURS = 30, 4, 60.0, 2

Formula = Callable[[LaneStatistics], int]


class Pod:
    """A consumer: seconds until it serves, and the seconds left of each of its runs."""

    def __init__(self, starts_in: int) -> None:
        self.starts_in, self.runs, self.leaving = starts_in, [0.0] * 0, False


class Fleet:
    """Jobs in one lane, its consumers, and KEDA with `metricType: AverageValue`, `targetValue: 1`.

    `spread`: the part by which jobs are longer or shorter than their mean; without it they also come as by a clock.
    """

    def __init__(self, formula: Formula, mean_s: float, seed: int, spread: float = 0.8) -> None:
        self.formula, self.mean_s, self.spread, self.random = formula, mean_s, spread, Random(seed)
        self.now, self.due, self.pods = 0, 0.0, [Pod(0)]
        self.queue: deque[int] = deque()
        self.lasted: deque[float] = deque([mean_s], maxlen=256)
        self.posted = self._look()
        self.wishes: deque[int] = deque(maxlen=CALM_S // SYNC_S)
        self.waits: list[int] = []
        self.steps: list[tuple[int, int]] = []
        """When the number of pods changed, and by how many."""
        self.cut_off = 0
        """Scale-ins after which fewer slots stayed than jobs ran, as far as was known."""
        self.scaled_in_at = -SCALE_IN_EVERY_S

    @property
    def serving(self) -> list[Pod]:
        return [pod for pod in self.pods if not pod.leaving]

    @property
    def running(self) -> int:
        return sum(len(pod.runs) for pod in self.pods)

    def run(self, seconds: int, per_second: float, burst: int = 0) -> None:
        """Let so many seconds pass with this many new jobs a second, and a burst at once."""
        self.queue.extend([self.now] * burst)
        for _ in range(seconds):
            self.now += 1
            self.due += per_second * (self.random.expovariate(1) if self.spread else 1)
            self.queue.extend([self.now] * int(self.due))
            self.due %= 1
            self._work()
            if (self.now + BOARD_LAG_S) % SYNC_S == 0:
                self.posted = self._look()
            elif self.now % SYNC_S == 0:
                self._scale(self.formula(self.posted))

    def _work(self) -> None:
        for pod in self.pods:
            pod.starts_in -= 1
            pod.runs = [left - 1 for left in pod.runs if left > 1]
        self.pods = [pod for pod in self.pods if pod.runs or not pod.leaving]
        for pod in self.serving:
            while self.queue and pod.starts_in <= 0 and len(pod.runs) < SLOTS:
                self.waits.append(self.now - self.queue.popleft())
                pod.runs.append(self.random.uniform(1 - self.spread, 1 + self.spread) * self.mean_s)
                self.lasted.append(pod.runs[-1])

    def _look(self) -> LaneStatistics:
        up = [pod for pod in self.serving if pod.starts_in <= 0]
        return LaneStatistics(
            queued=len(self.queue), running=self.running, consumers=len(up), slots=len(up) * SLOTS,
            oldest_queued_s=self.now - self.queue[0] if self.queue else 0, oldest_undispatched_s=0,
            times=measured(self.lasted),
        )  # fmt: skip

    def _scale(self, wanted: int) -> None:
        have = len(self.serving)
        wish = have if abs(wanted / have - 1) <= TOLERANCE else min(max(wanted, 1), MOST_PODS)
        self.wishes.append(wish)
        if wish > have:
            more = min(wish - have, max(have, 4))  # Kubernetes' default: doubled, or 4 more
            self.pods += [Pod(POD_START_S) for _ in range(more)]
            self.steps.append((self.now, more))
        elif max(self.wishes) < have and self.now - self.scaled_in_at >= SCALE_IN_EVERY_S:
            self.random.choice(self.serving).leaving = True  # it may be a busy one: it finishes what runs
            self.scaled_in_at = self.now
            self.steps.append((self.now, -1))
            self.cut_off += (have - 1) * SLOTS < self.posted.running


def by_the_formula(lane: LaneStatistics) -> int:
    return wanted_consumers(lane, TARGET_S, SLOTS)


def by_what_waits(lane: LaneStatistics) -> int:
    """What a scaler does that asks RabbitMQ: messages are acknowledged before their jobs run."""
    return -(-lane.queued // SLOTS)


LOADS = [(0.05, 200.0), (0.5, 20.0), (2.0, 5.0), (0.2, 120.0)]
"""Jobs per second, and seconds that one takes."""


@pytest.mark.parametrize(("per_second", "mean_s"), LOADS)
@pytest.mark.parametrize("seed", range(2))
def test_no_scale_in_goes_below_what_runs(per_second: float, mean_s: float, seed: int) -> None:
    fleet = Fleet(by_the_formula, mean_s, seed)
    for _ in range(3):
        fleet.run(1_800, per_second, burst=60)
        fleet.run(1_800, 0)
    assert min(change for _, change in fleet.steps) == -1
    assert fleet.cut_off == 0
    assert (len(fleet.serving), fleet.running, len(fleet.queue)) == (1, 0, 0)


def test_a_scaler_that_only_sees_what_waits_goes_below_it() -> None:
    fleet = Fleet(by_what_waits, 120, seed=0)
    fleet.run(1_800, 0.2, burst=60)
    assert fleet.cut_off > 0


@pytest.mark.parametrize(("burst", "mean_s"), [(100, 2.0), (200, 5.0), (50, 60.0), (400, 10.0)])
@pytest.mark.parametrize("seed", range(2))
def test_a_burst_is_served_within_the_target_and_the_time_that_pods_take(
    burst: int, mean_s: float, seed: int
) -> None:
    fleet = Fleet(by_the_formula, mean_s, seed)
    fleet.run(700, 0, burst=burst)
    assert len(fleet.waits) == burst
    assert max(fleet.waits) <= TARGET_S + SYNC_S + POD_START_S + BOARD_LAG_S


@pytest.mark.parametrize(("per_second", "mean_s"), LOADS)
@pytest.mark.parametrize("spread", [0, 0.8])
def test_a_steady_load_does_not_make_it_go_to_and_fro(
    per_second: float, mean_s: float, spread: float
) -> None:
    fleet = Fleet(by_the_formula, mean_s, 1, spread)
    fleet.run(3_600, per_second)
    fleet.steps.clear()
    fleet.waits.clear()
    fleet.run(HOURS * 3_600, per_second)
    assert max(fleet.waits) <= TARGET_S
    if not spread:
        assert fleet.steps == []  # one that only sees what waits goes up and down every few minutes
    assert all(abs(change) == 1 for _, change in fleet.steps)
    pairs = zip(fleet.steps, fleet.steps[1:], strict=False)
    assert all(later - at >= CALM_S for (at, change), (later, next_) in pairs if change > next_)
    assert len(fleet.steps) <= 15 * HOURS
