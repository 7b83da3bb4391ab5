"""The back-off grows up to its cap, and is spread over its whole range."""

from math import inf, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.retry import RetryPolicy


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_a_wait_is_never_longer_than_its_step_and_the_cap(attempt: int, seed: int) -> None:
    policy = RetryPolicy(base_s=2, cap_s=600)
    assert 0 <= policy.delay_s(attempt, Random(seed)) <= min(600, 2 * 2 ** min(attempt - 1, 40))


def test_waits_are_spread_so_that_a_crowd_does_not_return_at_once() -> None:
    rng = Random(1)
    waits = [RetryPolicy(base_s=8).delay_s(1, rng) for _ in range(500)]
    assert min(waits) < 1
    assert max(waits) > 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": 2.5},
        {"max_attempts": 10**9},
        {"base_s": -1},
        {"base_s": nan},
        {"base_s": inf},
        {"cap_s": -1},
        {"cap_s": inf},
    ],
)
def test_refuses_a_policy_that_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="retry policy"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]  # the wrong values are the case
