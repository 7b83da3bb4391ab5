"""Canonical input and fingerprints."""

from __future__ import annotations

import pytest

from sluice.core.fingerprint import canonical, fingerprint

BASE = ("acme", "demo.sum", 1, b"{}")


def test_the_order_of_keys_and_white_space_do_not_matter() -> None:
    assert canonical({"b": [1, 2], "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":[1,2]}'


def test_the_order_of_elements_matters() -> None:
    assert canonical([1, 2]) != canonical([2, 1])


def test_the_same_work_has_the_same_fingerprint() -> None:
    assert fingerprint(*BASE) == fingerprint(*BASE)
    assert len(fingerprint(*BASE)) == 32


@pytest.mark.parametrize(
    "other",
    [
        ("other", "demo.sum", 1, b"{}"),
        ("acme", "demo.sub", 1, b"{}"),
        ("acme", "demo.sum", 2, b"{}"),
        ("acme", "demo.sum", 1, b"[]"),
        ("acmedemo", ".sum", 1, b"{}"),
    ],
)
def test_other_tenant_kind_version_or_input_is_other_work(other: tuple[str, str, int, bytes]) -> None:
    assert fingerprint(*other) != fingerprint(*BASE)
