"""Under which lease a process claims."""

from __future__ import annotations

import pytest

from sluice.core.errors import LeaseOver
from sluice.core.owner import LONGEST_CLAIM_S, Owner, claim_holds_s


def test_what_was_claimed_under_a_lease_that_was_replaced_meanwhile_is_left_to_its_rescue() -> None:
    owner = Owner()
    lease = owner.id
    owner.require(lease)
    owner.replace()
    assert owner.id != lease
    with pytest.raises(LeaseOver):
        owner.require(lease)


def test_a_lease_has_to_outlast_a_claim_or_a_third_of_its_length() -> None:
    assert [claim_holds_s(lease_s) for lease_s in (3.0, 15.0, 60.0)] == [1.0, 5.0, LONGEST_CLAIM_S]
