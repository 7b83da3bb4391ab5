"""The consumer refuses to start where lanes, kinds and processes do not fit together."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.configuration import check_configuration
from sluice.core.catalogue import describe
from sluice.core.registry import Registry
from sluice.core.runtime.lane_settings import processors
from sluice.core.runtime.settings import Settings
from sluice.errors import StartRefused
from tests.unit.consumer import hostile_kinds as kinds

EVERYWHERE = Registry(map(describe, [kinds.echo, kinds.in_thread, kinds.in_process]))


def settings(**more: Any) -> Settings:
    """Settings that read no file, with servers that nobody calls."""
    given = {"postgres_url": "p", "redis_url": "r", "rabbitmq_url": "a", "key_pepper": "0123456789abcdef"}
    return Settings(**(given | more))


def lanes(default: int, heavy: int) -> dict[str, dict[str, int]]:
    """Two lanes with so many slots."""
    return {
        "default": {"slots": default, "ids_per_message": 16},
        "heavy": {"slots": heavy, "ids_per_message": 1},
    }


def test_the_defaults_fit_together() -> None:
    check_configuration(settings(), EVERYWHERE)


def test_a_lease_that_is_over_before_it_could_be_renewed_is_refused() -> None:
    with pytest.raises(StartRefused, match=r"SLUICE_LEASE_S: 14 s .* three times SLUICE_BEAT_S"):
        check_configuration(settings(lease_s=14), EVERYWHERE)
    check_configuration(settings(lease_s=0.5, beat_s=0.1), EVERYWHERE)


def test_a_lane_to_serve_that_does_not_exist_is_named() -> None:
    with pytest.raises(StartRefused, match=r"SLUICE_SERVE_LANES.*'fast'"):
        check_configuration(settings(serve_lanes="default,fast"), EVERYWHERE)


def test_a_kind_whose_lane_nobody_configured_is_named() -> None:
    only = {"heavy": {"slots": 1, "ids_per_message": 1}}
    with pytest.raises(StartRefused, match=r"SLUICE_LANES.*'default'.*'t.echo'"):
        check_configuration(settings(lanes=only), EVERYWHERE)


@pytest.mark.parametrize(
    "more", [{"lanes": lanes(1, 9), "processes": 8}, {"lanes": lanes(1, processors() + 1)}]
)
def test_more_slots_than_processes_behind_them_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(StartRefused, match=r"SLUICE_PROCESSES: .* fewer than the \d+ slots .* SLUICE_LANES"):
        check_configuration(settings(**more), EVERYWHERE)


def test_as_many_slots_as_processes_are_taken() -> None:
    check_configuration(settings(lanes=lanes(8, 8), processes=8), EVERYWHERE)


def test_only_lanes_that_are_served_here_and_kinds_that_need_processes_count() -> None:
    check_configuration(settings(lanes=lanes(8, 99), processes=1, serve_lanes="default"), EVERYWHERE)
    check_configuration(settings(lanes=lanes(999, 99), processes=1), Registry([describe(kinds.echo)]))
