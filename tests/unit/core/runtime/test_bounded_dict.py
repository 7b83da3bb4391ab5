"""A dict that drops its oldest entry."""

from __future__ import annotations

from sluice.core.runtime.bounded_dict import BoundedDict


def test_the_oldest_is_dropped() -> None:
    table: BoundedDict[str, int] = BoundedDict(2)
    for number, key in enumerate("abc"):
        table[key] = number
    assert dict(table) == {"b": 1, "c": 2}


def test_what_is_set_again_is_the_newest() -> None:
    table: BoundedDict[str, int] = BoundedDict(2)
    table["a"], table["b"] = 1, 2
    table["a"] = 3
    table["c"] = 4
    assert dict(table) == {"a": 3, "c": 4}
