"""What is promised is measured from counts alone."""

from __future__ import annotations

from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.slo import AT_REST, FEWEST, NOW_S, SHED_S, Measured, RequestCounts, Slo, quantile

BOUNDS = (0.001, 0.01, 0.1)


class Requests:
    """Counts that grow as told."""

    bounds = BOUNDS

    def __init__(self) -> None:
        self.now = RequestCounts([0, 0, 0, 0], 0, 0, 0)

    def counts(self) -> RequestCounts:
        """As they are."""
        return self.now

    def add(self, *cached: int, others: int = 0, failed: int = 0, shed: int = 0) -> None:
        """Answer so many cached reads in each bucket, and others."""
        before = self.now
        more = list(cached) + [0] * (len(BOUNDS) + 1 - len(cached))
        self.now = RequestCounts(
            [a + b for a, b in zip(before.cached, more, strict=True)],
            before.answered + sum(more) + others,
            before.failed + failed,
            before.shed + shed,
        )


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def slo(requests: Requests) -> Slo:
    return Slo(requests)


def test_nothing_is_said_of_what_has_not_happened(slo: Slo) -> None:
    measured = slo.measured()
    assert measured == Measured(None, None, None, 0, False)
    assert (measured.ratio, measured.budget_left) == (None, None)


async def test_what_was_answered_before_is_not_measured(requests: Requests) -> None:
    requests.add(100, others=5, failed=5)
    slo = Slo(requests)
    await slo.look()
    assert slo.measured() == Measured(None, None, None, 1, False)


async def test_reads_under_load_are_compared_with_those_at_rest(slo: Slo, requests: Requests) -> None:
    requests.add(AT_REST)
    await slo.look()
    requests.add(0, AT_REST + 1)
    await slo.look()
    measured = slo.measured()
    assert measured.at_rest_p95_s == pytest.approx(0.00095)
    assert measured.p95_s == pytest.approx(0.001 + 0.009 * (0.95 * 101 - 50) / 51)
    assert measured.ratio == pytest.approx((measured.p95_s or 0) / 0.00095)


async def test_a_process_that_answers_much_else_is_not_at_rest(slo: Slo, requests: Requests) -> None:
    requests.add(FEWEST, others=AT_REST)
    await slo.look()
    assert slo.measured().at_rest_p95_s is None
    assert slo.measured().p95_s == pytest.approx(0.00095)


async def test_few_reads_say_nothing(slo: Slo, requests: Requests) -> None:
    requests.add(FEWEST - 1)
    await slo.look()
    assert slo.measured().p95_s is None


async def test_the_present_is_the_last_minute(slo: Slo, requests: Requests) -> None:
    requests.add(FEWEST)
    await slo.look()
    for _ in range(NOW_S):
        await slo.look()
    measured = slo.measured()
    assert measured.p95_s is None
    assert measured.at_rest_p95_s == pytest.approx(0.00095)


async def test_failures_use_up_the_budget(slo: Slo, requests: Requests) -> None:
    requests.add(others=10_000, failed=5)
    await slo.look()
    measured = slo.measured()
    assert measured.availability == pytest.approx(0.9995)
    assert measured.budget_left == pytest.approx(0.5)


async def test_it_sheds_for_as_long_as_submits_were_refused_lately(slo: Slo, requests: Requests) -> None:
    requests.add(others=1, failed=1, shed=1)
    await slo.look()
    for _ in range(SHED_S - 1):
        await slo.look()
    assert slo.measured().shedding
    await slo.look()
    assert not slo.measured().shedding


@pytest.mark.parametrize(
    ("counts", "at", "found"),
    [([10, 0, 0, 0], 0.5, 0.0005), ([0, 10, 0, 0], 1.0, 0.01), ([1, 0, 0, 99], 0.95, 0.1), ([0, 0, 0, 1], 0.1, 0.1)],
)  # fmt: skip
def test_a_quantile_lies_evenly_in_its_bucket(counts: list[int], at: float, found: float) -> None:
    assert quantile(counts, BOUNDS, at) == pytest.approx(found)


def test_a_quantile_of_nothing_is_the_last_bound() -> None:
    assert quantile([0, 0, 0, 0], BOUNDS, 0.95) == 0.1


@given(st.lists(st.floats(0, 0.0999), min_size=FEWEST, max_size=200))
def test_a_quantile_is_never_off_by_more_than_its_bucket(seconds: list[float]) -> None:
    counts = [
        sum(low <= each < high for each in seconds) for low, high in zip((0, *BOUNDS), BOUNDS, strict=False)
    ]
    found, exact = quantile([*counts, 0], BOUNDS, 0.95), quantiles(seconds, n=20, method="inclusive")[-1]
    low = max((bound for bound in (0.0, *BOUNDS) if bound <= exact), default=0.0)
    lower = max((bound for bound in (0.0, *BOUNDS) if bound < low), default=0.0)
    assert lower <= found <= min(bound for bound in (*BOUNDS, 0.1) if bound >= min(exact, 0.1))
