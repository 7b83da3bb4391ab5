"""The consumer refuses to start where lanes, kinds and pools do not fit together."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.configuration import check_configuration
from consumer.worker import Worker
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings, processors
from sluice.errors import StartRefused
from tests.unit.consumer import hostile_kinds as kinds

EVERYWHERE = Registry([kinds.echo, kinds.in_thread, kinds.in_process])


def settings(**more: Any) -> Settings:
    """Settings that read no file, with servers that nobody calls."""
    given = {"postgres_url": "p", "redis_url": "r", "rabbitmq_url": "a", "key_pepper": "0123456789abcdef"}
    return Settings(_env_file=None, **(given | more))


def lanes(default: int, heavy: int) -> dict[str, dict[str, int]]:
    """Two lanes with so many slots."""
    return {
        "default": {"slots": default, "ids_per_message": 16},
        "heavy": {"slots": heavy, "ids_per_message": 1},
    }


def test_the_defaults_fit_together() -> None:
    check_configuration(settings(), EVERYWHERE)


def test_a_lane_to_serve_that_does_not_exist_is_named() -> None:
    with pytest.raises(StartRefused, match=r"SLUICE_SERVE_LANES.*'fast'"):
        Worker(settings(serve_lanes="default,fast"), EVERYWHERE)


def test_a_kind_whose_lane_nobody_configured_is_named() -> None:
    only = {"heavy": {"slots": 1, "ids_per_message": 1}}
    with pytest.raises(StartRefused, match=r"SLUICE_LANES.*'default'.*'t.echo'"):
        Worker(settings(lanes=only), Registry([kinds.in_process, kinds.echo]))


@pytest.mark.parametrize(
    ("more", "variable"),
    [
        ({"lanes": lanes(9, 1), "threads": 8}, "SLUICE_THREADS"),
        ({"lanes": lanes(1, 9), "processes": 8}, "SLUICE_PROCESSES"),
        ({"lanes": lanes(1, processors() + 1)}, "SLUICE_PROCESSES"),
    ],
)
def test_more_slots_than_places_behind_them_are_refused(more: dict[str, Any], variable: str) -> None:
    with pytest.raises(StartRefused, match=rf"{variable}: .* fewer than the \d+ slots .* SLUICE_LANES"):
        check_configuration(settings(**more), EVERYWHERE)


def test_as_many_slots_as_places_are_taken() -> None:
    check_configuration(settings(lanes=lanes(8, 8), threads=8, processes=8), EVERYWHERE)


def test_only_lanes_that_are_served_here_and_kinds_that_need_the_place_count() -> None:
    check_configuration(
        settings(lanes=lanes(8, 99), threads=8, processes=1, serve_lanes="default"), EVERYWHERE
    )
    check_configuration(settings(lanes=lanes(999, 99), threads=8, processes=99), Registry([kinds.echo]))
