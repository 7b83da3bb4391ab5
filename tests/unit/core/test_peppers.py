"""Peppers have names that tell nothing of them."""

from __future__ import annotations

from sluice.core.peppers import Peppers, pepper_id

ONE, TWO = "0123456789abcdef", "fedcba9876543210"


def test_a_pepper_has_the_same_id_everywhere_and_another_has_another() -> None:
    assert pepper_id(ONE) == pepper_id(ONE) != pepper_id(TWO)
    assert len(pepper_id(ONE)) == 8


def test_the_first_makes_what_is_new_and_both_are_good() -> None:
    assert Peppers(ONE).all == (ONE,)
    both = Peppers(ONE, TWO)
    assert (both.present, both.all) == (ONE, (ONE, TWO))


def test_peppers_are_not_told_by_what_is_printed() -> None:
    assert repr(Peppers(ONE, TWO)) == f"<Peppers: {pepper_id(ONE)}, {pepper_id(TWO)}>"
