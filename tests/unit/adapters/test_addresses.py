"""Addresses that name several hosts."""

from __future__ import annotations

import pytest

from sluice.adapters.addresses import host_of, split_hosts


@pytest.mark.parametrize(
    ("url", "each"),
    [
        (
            "postgresql://u:p%2C@a:1,[::1]:2/d?x=1,2",
            ["postgresql://u:p%2C@a:1/d?x=1,2", "postgresql://u:p%2C@[::1]:2/d?x=1,2"],
        ),
        ("amqp://u:p@a,b:2/", ["amqp://u:p@a/", "amqp://u:p@b:2/"]),
        ("redis+sentinel://a:1,b:2/m/0", ["redis+sentinel://a:1/m/0", "redis+sentinel://b:2/m/0"]),
        ("postgresql:///d?host=/tmp", ["postgresql:///d?host=/tmp"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_there_is_an_address_for_each_host(url: str, each: list[str]) -> None:
    assert split_hosts(url) == each


def test_a_host_is_named_without_its_password() -> None:
    assert host_of("postgresql://u:p@a:1/d") == "a:1"
