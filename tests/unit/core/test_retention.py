"""How long finished jobs are kept, by kind."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from sluice.core.registry import Registry
from sluice.core.retention import Retention, retention
from sluice.handler import AnyHandler, Options, handler


class Value(BaseModel):
    """An input that is also the output."""


async def give(value: Value) -> Value:
    return value


def kinds(**options: Options) -> Registry[AnyHandler]:
    """Make a registry of these kinds."""
    return Registry(handler(f"t.{name}", **chosen)(give) for name, chosen in options.items())


def test_a_kind_says_for_how_long_or_the_setting_does() -> None:
    found = retention(kinds(short={"keep_s": 60}, silent={}, long={"keep_s": 9_999}), 600)
    assert found == Retention({"t.short": 60, "t.silent": 600, "t.long": 9_999}, 600)
    assert found.shortest_s == 60


def test_jobs_under_a_former_name_are_kept_as_those_under_the_new_one() -> None:
    found = retention(kinds(new={"keep_s": 60, "aliases": ("t.old",)}), 600)
    assert found.by_kind == {"t.new": 60, "t.old": 60}


@pytest.mark.parametrize("keep_s", [60, 7_200])
def test_a_result_is_kept_while_it_may_be_reused(keep_s: float) -> None:
    found = retention(kinds(pure={"keep_s": keep_s, "cache_s": 3_600}, other={"cache_s": 900}), 600)
    assert found.by_kind == {"t.pure": max(keep_s, 3_600), "t.other": 900}
    assert found.shortest_s == 600


def test_where_no_kind_is_known_the_setting_rules() -> None:
    assert retention(Registry([]), 600).shortest_s == 600
