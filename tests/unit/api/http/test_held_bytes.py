"""Bytes of bodies that are held at once."""

from __future__ import annotations

import pytest

from api.http.errors import TenantOverloaded
from api.http.held_bytes import HeldBody, HeldBytes
from sluice.core.errors import Overloaded


def test_a_tenant_gets_so_much_and_all_together_get_so_much() -> None:
    held = HeldBytes(10, 6)
    held.add("acme", 6)
    with pytest.raises(TenantOverloaded):
        held.add("acme", 1)
    with pytest.raises(Overloaded):
        held.add("other", 5)
    held.add("other", 4)
    assert repr(held) == "<HeldBytes: 10 of 2 tenants>"


def test_what_was_refused_is_not_counted_and_nobody_is_remembered() -> None:
    held = HeldBytes(10, 6)
    with HeldBody(held, "acme") as body:
        body.grow(4)
        with pytest.raises(TenantOverloaded):
            body.grow(7)
        assert len(held) == 4
    assert repr(held) == "<HeldBytes: 0 of 0 tenants>"


def test_a_body_counts_with_the_most_it_was_said_to_have() -> None:
    held = HeldBytes(10, 10)
    with HeldBody(held, "acme") as body:
        for size in (5, 1, 7):
            body.grow(size)
        assert len(held) == 7
    with HeldBody(held, "acme"):
        assert len(held) == 0
