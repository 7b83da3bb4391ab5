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


def test_a_backlog_that_came_at_once_is_not_asked_for_every_second() -> None:
    warm, burst = [each / 2 for each in range(40)], [30.0] * 800
    works = run(warm + burst, [1.0] * 840, SLOTS)
    found = follow(works, SLOTS, warm_s=29)
    assert found.polls <= 5, found
    assert found.lost <= 0.2, found


def test_what_is_estimated_for_nine_tenths_holds_for_most() -> None:
    assert min(steady(10, seed).within_p90 for seed in (1, 2, 3)) >= 0.7
