"""The registry of kinds: found by every name, and refused if two share one."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from sluice.core.catalogue import describe
from sluice.core.errors import KindUnknown
from sluice.core.registry import Kind, Registry, check_lanes
from sluice.errors import StartRefused
from sluice.handler import handler


class Value(BaseModel):
    """An input that is also the output."""


async def give(value: Value) -> Value:
    return value


ONE = handler("one.kind", aliases=("old.kind",), version=3)(give)
both = pytest.mark.parametrize("kind", [ONE, describe(ONE)], ids=["with its code", "without"])


@both
def test_finds_a_kind_by_its_name_and_by_its_former_names(kind: Kind) -> None:
    registry = Registry([kind])
    assert registry["one.kind"] is registry["old.kind"] is kind
    assert list(registry) == ["one.kind"]
    assert len(registry) == 1
    assert "old.kind" in registry
    assert registry.versions == {"one.kind": 3, "old.kind": 3}


def test_an_unknown_kind_is_no_kind() -> None:
    empty = Registry[Kind]([])
    with pytest.raises(KindUnknown, match=r"no\.kind"):
        empty["no.kind"]
    assert "no.kind" not in empty


@both
@pytest.mark.parametrize("name", ["one.kind", "old.kind"])
def test_refuses_two_kinds_of_one_name_and_names_both_places(kind: Kind, name: str) -> None:
    async def other(value: Value) -> Value:
        return value

    second = handler(name)(other)
    with pytest.raises(StartRefused) as refused:
        Registry([kind, second])
    assert kind.where != second.where
    assert (
        str(refused.value)
        == f"kind {name!r} is defined twice, at {kind.where} and at {second.where}: rename one of them"
    )


@both
def test_a_kind_of_a_lane_that_nobody_configured_stops_the_start(kind: Kind) -> None:
    registry = Registry([kind])
    check_lanes(registry, ["default", "heavy"])
    with pytest.raises(StartRefused, match=r"SLUICE_LANES: .*'default'.*'one\.kind'"):
        check_lanes(registry, ["heavy"])


BULKY = handler("one.kind", lanes=("bulk",))(give)


@pytest.mark.parametrize("kind", [BULKY, describe(BULKY)], ids=["with its code", "without"])
def test_a_kind_that_allows_a_lane_that_nobody_configured_stops_the_start(kind: Kind) -> None:
    registry = Registry([kind])
    check_lanes(registry, ["default", "bulk"])
    with pytest.raises(StartRefused, match=r"SLUICE_LANES: .*'bulk', which the kind 'one\.kind' allows"):
        check_lanes(registry, ["default", "heavy"])
