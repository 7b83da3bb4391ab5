"""What it costs to poll as advised: few requests a job, and little time after its end."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.support.simulated_polling import Outcome, follow, run

SLOTS, BUSY, JOBS = 8, 0.75, 400


def steady(seconds: float, seed: int) -> Outcome:
    """Keep a lane busy for three quarters with jobs that take so long, by a fifth more or less; count once it is warm."""
    chance = random.Random(seed)
    arrivals = list(_arrivals(chance, SLOTS * BUSY / seconds))
    works = run(arrivals, [chance.uniform(0.8, 1.2) * seconds for _ in arrivals], SLOTS)
    return follow(works, SLOTS, warm_s=arrivals[JOBS // 4])


def _arrivals(chance: random.Random, per_second: float) -> Iterator[float]:
    at = 0.0
    for _ in range(JOBS):
        at += chance.expovariate(per_second)
        yield at


@pytest.mark.parametrize("seconds", [10, 20])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_polling_as_advised_costs_few_requests_and_little_time(seconds: float, seed: int) -> None:
    found = steady(seconds, seed)
    assert found.polls <= 2.5, found
    assert found.lost <= 0.1, found


@pytest.mark.parametrize("seconds", [0.1, 1, 2, 5])
def test_short_jobs_cost_as_few_requests(seconds: float) -> None:
    assert steady(seconds, 1).polls <= 2.5


def burst(jobs: int, within_s: float, at: float = 30.3, after: int = 0) -> Outcome:
    """Let so many jobs of a second come at once to a lane that is quiet, and then so many more, two a second."""
    warm = [each / 2 for each in range(40)]
    arrivals = [*warm, *(at + within_s * each / jobs for each in range(jobs))]
    arrivals += [at + within_s + 1 + each / 2 for each in range(after)]
    return follow(run(arrivals, [1.0] * len(arrivals), SLOTS), SLOTS, warm_s=29)


@pytest.mark.parametrize(
    ("jobs", "within_s", "after"), [(200, 0.2, 0), (800, 0.2, 0), (800, 5, 0), (800, 0.2, 200)]
)
def test_bursts_cost_as_few_requests_and_less_time(jobs: int, within_s: float, after: int) -> None:
    found = burst(jobs, within_s, after=after)
    assert found.polls <= 2.5, found
    assert found.lost <= 0.1, found


def test_jobs_of_the_same_microsecond_whose_places_nobody_can_tell_cost_more_time() -> None:
    found = burst(800, 0.0, at=30)
    assert found.polls <= 2.5, found
    assert found.lost <= 0.3, found


@pytest.mark.parametrize("seconds", [2, 10, 20])
def test_what_is_estimated_for_nine_tenths_holds_for_nine_tenths(seconds: float) -> None:
    shares = [steady(seconds, seed).within_p90 for seed in (1, 2, 3)]
    assert min(shares) >= 0.85, shares
    assert max(shares) <= 0.95, shares
