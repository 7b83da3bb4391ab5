"""The options of a submit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from api.http.schemas import flaws_of
from api.jobs.schemas import SubmitOptions


def test_everything_has_a_default() -> None:
    options = SubmitOptions.model_validate({})
    assert (options.priority, options.cache, options.tags, options.lane) == ("normal", "use", [], None)


@pytest.mark.parametrize(
    "given",
    [
        {"priority": "high"},
        {"delay_s": 0},
        {"delay_s": 1.5},
        {"run_at": "2030-01-31T12:00:00Z"},
        {"run_at": "2030-01-31T12:00:00+02:00"},
        {"deadline_s": 60},
        {"timeout_s": 0.5},
        {"max_attempts": 1},
        {"cache": "off"},
        {"tags": ["nightly", "grün"]},
        {"lane": "heavy"},
    ],
)
def test_options_within_their_bounds_are_taken(given: dict[str, Any]) -> None:
    ((name, _),) = given.items()
    assert getattr(SubmitOptions.model_validate(given), name) is not None


@pytest.mark.parametrize("when", [{"delay_s": 59}, {"delay_s": 0}, {"run_at": "2026-01-01T00:00:00Z"}])
def test_a_deadline_after_the_time_to_run_is_taken(when: dict[str, Any]) -> None:
    assert SubmitOptions.model_validate({"deadline_s": 60, **when}).deadline_s == 60


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"priority": "urgent"}, "/options/priority"),
        ({"priority": 1}, "/options/priority"),
        ({"delay_s": -1}, "/options/delay_s"),
        ({"delay_s": "1"}, "/options/delay_s"),
        ({"delay_s": True}, "/options/delay_s"),
        ({"delay_s": 1e9}, "/options/delay_s"),
        ({"run_at": "tomorrow"}, "/options/run_at"),
        ({"run_at": "2030-01-31T12:00:00"}, "/options/run_at"),
        ({"run_at": 1_900_000_000}, "/options/run_at"),
        ({"run_at": "1900000000"}, "/options/run_at"),
        ({"run_at": "-5"}, "/options/run_at"),
        ({"run_at": "0001-01-01T00:00:00+14:00"}, "/options/run_at"),
        ({"run_at": "9999-12-31T23:59:59-14:00"}, "/options/run_at"),
        ({"run_at": "2030-01-31T12:00:00Z", "delay_s": 1}, "/options"),
        ({"delay_s": 60, "deadline_s": 60}, "/options"),
        ({"run_at": "9999-01-01T00:00:00Z", "deadline_s": 60}, "/options"),
        ({"deadline_s": 0}, "/options/deadline_s"),
        ({"timeout_s": 0}, "/options/timeout_s"),
        ({"timeout_s": -1}, "/options/timeout_s"),
        ({"timeout_s": 86_401}, "/options/timeout_s"),
        ({"max_attempts": 0}, "/options/max_attempts"),
        ({"max_attempts": 101}, "/options/max_attempts"),
        ({"max_attempts": 1.5}, "/options/max_attempts"),
        ({"cache": "maybe"}, "/options/cache"),
        ({"tags": "nightly"}, "/options/tags"),
        ({"tags": [""]}, "/options/tags/0"),
        ({"tags": ["x" * 65]}, "/options/tags/0"),
        ({"tags": ["a\x1fb"]}, "/options/tags/0"),
        ({"tags": ["a"] * 11}, "/options/tags"),
        ({"lane": ""}, "/options/lane"),
        ({"webhook": ""}, "/options/webhook"),
        ({"webhook": "x" * 37}, "/options/webhook"),
        ({"webhook": {"url": "https://hooks.example.com/"}}, "/options/webhook"),
        ({"lane": None, "webhoook": 1}, "/options/webhoook"),
    ],
)
def test_options_out_of_their_bounds_are_refused(given: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SubmitOptions.model_validate(given)
    assert place in [flaw.pointer for flaw in flaws_of(caught.value, "/options", given)]
