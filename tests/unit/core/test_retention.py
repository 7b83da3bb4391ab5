"""How long finished jobs are kept, by kind."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from sluice.core.registry import Registry
from sluice.core.retention import kept_s, shortest_kept_s
from sluice.handler import AnyHandler, Options, handler


class Value(BaseModel):
    """An input that is also the output."""


async def give(value: Value) -> Value:
    return value


def kinds(**options: Options) -> Registry[AnyHandler]:
    """Make a registry of these kinds."""
    return Registry(handler(f"t.{name}", **chosen)(give) for name, chosen in options.items())


def kept(registry: Registry[AnyHandler]) -> dict[str, float]:
    return {kind: kept_s(registry[kind], 600) for kind in registry}


def test_a_kind_says_for_how_long_or_the_setting_does() -> None:
    registry = kinds(short={"keep_s": 60}, silent={}, long={"keep_s": 9_999})
    assert kept(registry) == {"t.short": 60, "t.silent": 600, "t.long": 9_999}
    assert shortest_kept_s(registry, 600) == 60


@pytest.mark.parametrize("keep_s", [60, 7_200])
def test_a_result_is_kept_while_it_may_be_reused(keep_s: float) -> None:
    registry = kinds(pure={"keep_s": keep_s, "cache_s": 3_600}, other={"cache_s": 900})
    assert kept(registry) == {"t.pure": max(keep_s, 3_600), "t.other": 900}
    assert shortest_kept_s(registry, 600) == 600


def test_where_no_kind_is_known_the_setting_rules() -> None:
    assert shortest_kept_s(Registry([]), 600) == 600
