"""What may be taken of a quota, over any history of takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.rate_limit import SECOND_US, Lease, Quota, read_quota, take

QUOTAS = st.builds(Quota, st.integers(1, 10_000), st.integers(1, 3_600))
STEPS = st.lists(
    st.tuples(st.integers(0, 5 * SECOND_US), st.integers(1, 60), st.integers(1, 200)), max_size=60
)


@given(QUOTAS, STEPS)
def test_no_window_gives_more_than_the_quota_and_what_comes_back(
    quota: Quota, steps: list[tuple[int, int, int]]
) -> None:
    tat, now, taken = 0, 1_000 * SECOND_US, []
    for step, need, want in steps:
        now += step
        need = min(need, quota.units)
        tat, lease = take(quota, tat, now, need, want)
        taken.append((now, lease.units))
    for first, (begun, _) in enumerate(taken):
        total = 0
        for at, units in taken[first:]:
            total += units
            assert total <= quota.units + (at - begun) // quota.interval_us + 1


@given(QUOTAS, STEPS)
def test_a_refusal_takes_nothing_and_its_wait_is_exact(
    quota: Quota, steps: list[tuple[int, int, int]]
) -> None:
    tat, now = 0, 1_000 * SECOND_US
    for step, need, want in steps:
        now += step
        need = min(need, quota.units)
        kept, lease = take(quota, tat, now, need, want)
        if not lease.units:
            assert kept == max(tat, now)
            assert lease.left < need
            assert take(quota, kept, now + lease.wait_us - 1, need, want)[1].units == 0
            assert take(quota, kept, now + lease.wait_us, need, want)[1].units >= need
        tat = kept


@given(QUOTAS, st.integers(1, 10_000), st.integers(1, 20_000))
def test_a_whole_quota_gives_what_is_needed_and_no_more_than_is_wanted(
    quota: Quota, need: int, want: int
) -> None:
    need = min(need, quota.units)
    _, lease = take(quota, 0, SECOND_US, need, want)
    assert need <= lease.units <= max(need, want)
    assert lease.left == max(0, quota.units - lease.units)


def test_debt_is_paid_before_anything_is_taken_again() -> None:
    quota = Quota(10, 10)
    tat, lease = take(quota, 0, 0, 10, 10, 15)
    assert lease == Lease(10, 0)
    assert take(quota, tat, 0, 1, 1, 5) == (tat, Lease(0, 0, 16 * SECOND_US))


def test_a_rate_is_read_as_units_and_seconds() -> None:
    quota = read_quota("600/60")
    assert quota == Quota(600, 60)
    assert (quota.interval_us, quota.chunk, quota.half()) == (100_000, 12, Quota(300, 60))
    assert [quota.seconds_until(left) for left in (600, 599, 590, 0)] == [1, 1, 1, 60]
    assert Quota(1, 60).half() == Quota(1, 60)
    assert read_quota("off") is None


@pytest.mark.parametrize(
    "text", ["600", "", "600/", "/60", "0/60", "600/0", "-1/60", "1.5/60", "6e2/60", "600/60s", "٦/٦", "10000001/60", "1/86401", "100001/1"]
)  # fmt: skip
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        read_quota(text)
