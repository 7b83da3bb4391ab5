"""Kinds as plain values: what a host sends is what the consumer reads."""

from __future__ import annotations

from typing import Any

import ormsgpack
import pytest
from pydantic import BaseModel

from sluice.context import Context
from sluice.core.catalogue import describe, from_wire, to_wire
from sluice.handler import Options, handler
from sluice.retry import RetryPolicy


class Value(BaseModel):
    """An input that is also the output."""


async def give(value: Value) -> Value:
    return value


def give_in_context(value: Value, context: Context) -> Value:
    return value


SPARSE = handler("t.sparse")(give)
FULL_OPTIONS: Options = {
    "aliases": ("t.old", "t.older"),
    "cache_s": 60,
    "keep_s": 3_600,
    "lane": "heavy",
    "lanes": ("heavy", "bulk"),
    "max_input": 1_000,
    "retry": RetryPolicy(3, 0.5, 7),
    "runs_in": "process",
    "timeout_s": 9,
    "version": 2,
}
FULL = handler("t.full", **FULL_OPTIONS)(give_in_context)


def test_a_description_has_the_options_and_the_place_of_the_function() -> None:
    found = describe(FULL)
    assert {name: getattr(found, name) for name in FULL_OPTIONS} == FULL_OPTIONS
    assert found.takes_context
    assert found.function == "give_in_context"
    assert found.where == FULL.where == f"{__file__}:{give_in_context.__code__.co_firstlineno}"


@pytest.mark.parametrize("kind", [SPARSE, FULL], ids=lambda kind: kind.kind)
def test_it_crosses_a_socket_unchanged(kind: Any) -> None:
    sent = ormsgpack.packb(to_wire(describe(kind)))
    assert from_wire(ormsgpack.unpackb(sent)) == describe(kind)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["t.sparse"],
        [*to_wire(describe(SPARSE)), 1],
        [7, *to_wire(describe(SPARSE))[1:]],
        [*to_wire(describe(SPARSE))[:5], {"max_attempts": 0}, *to_wire(describe(SPARSE))[6:]],
        None,
        {"kind": "t.sparse"},
    ],
    ids=repr,
)
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="KindInfo"):
        from_wire(wrong)
