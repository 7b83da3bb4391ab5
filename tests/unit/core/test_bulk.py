"""A bulk act: which jobs it may change, how many at once, and a filter that is read as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.core.bulk import ACTS, MOST_BATCH, STATES, BulkAct, narrow, read_filter, write_filter
from sluice.core.errors import Invalid
from sluice.core.job import JobState
from sluice.core.listing import ABOVE_ALL, Filter

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def act(**changes: Any) -> BulkAct:
    given: dict[str, Any] = {"state": "running", "rate": 100.0} | changes
    whole = BulkAct(
        "1", "acme", "cancel", Filter(), 5, 1.0, 0.0, "", None, 1, ABOVE_ALL, None, 0, None, AT, None, 0.0
    )
    return whole._replace(**given)


@pytest.mark.parametrize("state", STATES)
def test_an_act_rests_if_it_waits_or_has_ended(state: str) -> None:
    assert act(state=state).rests == (state in ("waiting", "finished", "stopped", "aborted"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rate": 10_000.0}, MOST_BATCH), ({"rate": 7.9}, 7), ({"rate": 0.01}, 1), ({"state": "counting", "rate": 1.0}, MOST_BATCH),
        ({"state": "canary"}, 5), ({"state": "canary", "changed": 3}, 2), ({"state": "canary", "rate": 2.0}, 2),
    ],
)  # fmt: skip
def test_a_batch_is_what_rate_and_canary_leave_room_for(changes: dict[str, Any], expected: int) -> None:
    assert act(**changes).at_once == expected


def test_an_act_is_about_what_was_there_before_it() -> None:
    hour = timedelta(hours=1)
    for before, expected in ((None, AT), (AT - hour, AT - hour), (AT + hour, AT)):
        assert act(wanted=Filter(created_before=before)).there_before.created_before == expected


@pytest.mark.parametrize("name", ACTS)
def test_a_filter_is_narrowed_to_what_an_act_changes(name: str) -> None:
    states = narrow(name, Filter(kind="k")).states
    assert states
    for state in JobState:
        if state in states:
            assert narrow(name, Filter((state,))).states == (state,)
        else:
            with pytest.raises(Invalid):
                narrow(name, Filter((state,)))


def test_an_empty_filter_means_everything_to_a_retry_alone() -> None:
    assert narrow("retry", Filter()).states == (JobState.FAILED,)
    for name in ("cancel", "delete"):
        with pytest.raises(Invalid, match=f"would {name} everything"):
            narrow(name, Filter())


@pytest.mark.parametrize(
    "wanted", [Filter(), Filter(("failed",), "k", "t", AT, AT + timedelta(microseconds=1), "0" * 16)]
)
def test_a_filter_is_read_as_it_was_written(wanted: Filter) -> None:
    assert read_filter(write_filter(wanted)) == wanted
