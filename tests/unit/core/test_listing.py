"""A filter has one spelling, and times of creation bound the ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from sluice.core.job import made_at
from sluice.core.listing import ABOVE_ALL, CLOCKS_S, UNFINISHED, Filter, first_id

NOW = datetime.now(UTC)


def test_the_same_filter_is_spelled_alike_however_it_was_written() -> None:
    assert Filter(("a", "b", "b")).spelling == Filter(("b", "a")).spelling


def test_every_part_of_a_filter_is_in_its_spelling() -> None:
    filters = [
        Filter(),
        Filter(("queued",)),
        Filter(kind="a"),
        Filter(tag="a"),
        Filter(error="a"),
        Filter(created_after=NOW),
        Filter(created_before=NOW),
        Filter(created_after=NOW + timedelta(microseconds=1)),
    ]
    assert len({each.spelling for each in filters}) == len(filters)


def test_ids_of_a_time_are_within_its_bounds() -> None:
    job_id = str(uuid_utils.uuid7())
    made = made_at(job_id)
    assert first_id(made) <= job_id < first_id(made + 0.002)
    wanted = Filter(created_after=NOW, created_before=NOW)
    assert made_at(wanted.lowest_id) == pytest.approx(NOW.timestamp() - CLOCKS_S, abs=0.002)
    assert made_at(wanted.highest_id) == pytest.approx(NOW.timestamp() + CLOCKS_S, abs=0.002)


def test_without_a_time_every_id_is_within_the_bounds() -> None:
    assert Filter().lowest_id == "00000000-0000-0000-0000-000000000000"
    assert Filter().highest_id == ABOVE_ALL
    assert first_id(-1e12) == first_id(0)
    assert first_id(1e12) == "ffffffff-ffff-0000-0000-000000000000"


def test_nothing_finished_is_unfinished() -> None:
    assert {"scheduled", "queued", "running"} == UNFINISHED
