"""The demo kinds do what their schemas say."""

from typing import Any

import pytest

from sluice.errors import BadInput
from sluice.kinds.demo_sleep import sleep
from sluice.kinds.demo_spin import spin
from sluice.kinds.demo_sum import add_up
from sluice.testing import FakeContext, run_handler


def test_adds_up() -> None:
    assert run_handler(add_up, {"values": [1, -2, 30]}).total == 29


@pytest.mark.parametrize("values", [[], [0] * 10_001, ["1"], [1.5], [True], [2**53], None])
def test_refuses_what_is_not_a_list_of_whole_numbers(values: Any) -> None:
    with pytest.raises(BadInput):
        run_handler(add_up, {"values": values})


def test_the_largest_sum_is_still_exact_in_a_double() -> None:
    largest = (2**53 - 1) // 10_000
    assert run_handler(add_up, {"values": [largest] * 10_000}).total <= 2**53 - 1


def test_sleeps_and_reports_how_far_it_is() -> None:
    fake = FakeContext()
    assert 0.02 <= run_handler(sleep, {"seconds": 0.02}, fake=fake).slept_s < 1
    assert fake.progress == [(100.0, "sleeping")]


def test_sleeping_for_no_time_is_no_error() -> None:
    assert run_handler(sleep, {"seconds": 0}).slept_s < 1


def test_burns_the_processor_time_it_was_asked_to() -> None:
    fake = FakeContext()
    spun = run_handler(spin, {"seconds": 0.02}, fake=fake)
    assert spun.cpu_s >= 0.02
    assert spun.iterations > 0
    assert [percent for percent, _ in fake.progress] == sorted(percent for percent, _ in fake.progress)
    assert run_handler(spin, {"seconds": 0}).iterations == 0


@pytest.mark.parametrize(("kind", "seconds"), [(sleep, -1), (sleep, 3601), (spin, 601), (spin, "1")])
def test_refuses_times_out_of_bounds(kind: Any, seconds: Any) -> None:
    with pytest.raises(BadInput):
        run_handler(kind, {"seconds": seconds})


@pytest.mark.parametrize("kind", [add_up, sleep, spin])
def test_every_example_runs(kind: Any) -> None:
    for example in kind.input_model.model_json_schema()["examples"]:
        run_handler(kind, example)
