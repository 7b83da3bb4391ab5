"""Why a job is not done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sluice.core.estimates import Eta
from sluice.core.explanation import MOST_AHEAD, Explanation, Moment, Reason, Situation, Try, explain
from sluice.core.job import JobState, as_accepted
from sluice.core.queue_stats import LaneStatistics
from tests.support.make_jobs import AT, new_job
from tests.unit.core.test_estimates import lane
from tests.unit.core.test_queue_stats import PAUSE


def after(seconds: float) -> datetime:
    """So long after the job was accepted."""
    return AT + timedelta(seconds=seconds)


NOW = after(30)
RUNNING: dict[str, Any] = {"state": JobState.RUNNING, "fence": 1, "attempt": 1, "started_at": after(29)}
RETRYING: dict[str, Any] = {
    "state": JobState.SCHEDULED, "fence": 1, "attempt": 1, "queued_at": None, "started_at": after(1), "run_at": after(40)
}  # fmt: skip
LATER: dict[str, Any] = {"state": JobState.SCHEDULED, "queued_at": None, "run_at": after(35)}


def situation(changes: dict[str, Any] | None = None, **more: Any) -> Situation:
    """Make the situation of a queued job with three before it, which would go on."""
    job = as_accepted(new_job(), AT)._replace(**(changes or {}))
    return Situation(job, 1, None, True, 1, 3, ())._replace(**more)


def told(found: Situation, statistics: LaneStatistics | None = None, **more: Any) -> Explanation:
    """Explain it half a minute after it was accepted."""
    return explain(found, statistics, NOW, **more)


@pytest.mark.parametrize(
    ("found", "reason", "said"),
    [
        (situation(), "queued-behind", "before it: 3."),
        (situation(paused=PAUSE), "lane-paused", "'default': as asked"),
        (situation(paused=PAUSE, lane_served=False, served=None), "lane-paused", "as asked"),
        (situation(lane_served=False, served=None), "no-consumer", "'default'"),
        (situation({"priority": "overflow"}), "over-share", "in the same queue: 3."),
        (situation({"priority": "overflow"}, lane_served=False), "no-consumer", "'default'"),
        (situation(RUNNING | {"priority": "overflow"}), "running", "Attempt 1 of 5 runs."),
        (situation(served=None), "unknown-kind", "'demo.sum' in version 1"),
        (situation(handler_version=2), "unknown-kind", "version 2"),
        (situation(handler_version=2, served=2), "queued-behind", "before it: 3."),
        (situation(LATER), "scheduled", "before its time"),
        (situation(RETRYING, tries=[Try(1, "timed-out", after(1), after(2))]), "retry-wait", "timed-out"),
        (situation(RETRYING, tries=[]), "retry-wait", "1 of 5"),
        (situation(LATER, paused=PAUSE), "scheduled", ""),
        (situation(RUNNING, paused=PAUSE, lane_served=False), "running", "Attempt 1 of 5 runs."),
        (situation(RUNNING | {"cancel_requested_at": NOW}), "running", "asked to stop"),
        (situation({"state": JobState.FAILED, "finished_at": NOW}), "finished", "The job has failed."),
        (situation({"state": JobState.CANCELLED, "finished_at": NOW}), "finished", "The job has been cancelled."),
    ],
)  # fmt: skip
def test_the_reason_is_the_first_that_holds_the_job_up(found: Situation, reason: str, said: str) -> None:
    explanation = told(found, lane())
    assert explanation.reason == reason
    assert said in explanation.detail


def test_a_broker_that_is_away_holds_up_what_would_go_on() -> None:
    assert told(situation(), broker_away=True).reason == Reason.BROKER_AWAY
    assert told(situation(paused=PAUSE), broker_away=True).reason == Reason.LANE_PAUSED
    assert told(situation(RUNNING), broker_away=True).reason == Reason.RUNNING
    assert told(situation({"priority": "overflow"}), broker_away=True).reason == Reason.BROKER_AWAY
    assert told(situation(), lane(), broker_away=True).eta


@pytest.mark.parametrize(
    ("found", "position"),
    [(situation(), 4), (situation(ahead=0), 1), (situation(RUNNING), None), (situation(LATER), None)],
)
def test_only_a_queued_job_has_a_position(found: Situation, position: int | None) -> None:
    assert told(found).position == position


def test_behind_very_many_the_position_is_estimated_and_never_less_than_what_was_counted() -> None:
    found = situation(ahead=MOST_AHEAD)
    assert told(found).position == MOST_AHEAD + 1
    many = lane(queued=100_000, oldest_queued_s=60, counted_at=NOW.timestamp())
    assert told(found, many).position == 50_001
    assert told(found, lane()).position == MOST_AHEAD + 1
    assert told(found, many).detail.endswith(": about 50000.")
    assert told(found._replace(job=found.job._replace(queued_at=None)), many).position == MOST_AHEAD + 1


@pytest.mark.parametrize(
    ("found", "eta"),
    [
        (situation(ahead=16), Eta(2.625, 4.312)),
        (situation(RUNNING), Eta(0, 1)),
        (situation(LATER), Eta(5.625, 7.137)),
        (situation(RETRYING), Eta(10.625, 12.137)),
        (situation(LATER | {"run_at": after(20)}), Eta(0.625, 2.137)),
        (situation(paused=PAUSE), None),
        (situation(lane_served=False), None),
        (situation({"state": JobState.CANCELLED, "finished_at": NOW}), None),
    ],
)
def test_it_is_estimated_when_a_job_ends_that_goes_on(found: Situation, eta: Eta | None) -> None:
    assert told(found, lane()).eta == eta
    assert told(found, None).eta is None


def test_the_timeline_tells_in_order_what_has_happened() -> None:
    tries = [Try(1, "timed-out", after(1), after(5)), Try(2, "lease-lost", None, after(9))]
    found = situation(
        {
            "state": JobState.FAILED, "attempt": 3, "fence": 3, "queued_at": after(7), "started_at": after(12),
            "cancel_requested_at": after(20), "finished_at": after(25), "deadline": after(99),
        },
        tries=tries,
    )  # fmt: skip
    assert told(found).timeline == [
        Moment(AT, "accepted", "for the lane 'default'"),
        Moment(after(1), "started", "attempt 1"),
        Moment(after(5), "ended", "attempt 1: timed-out"),
        Moment(after(7), "queued", "with the priority normal"),
        Moment(after(9), "ended", "attempt 2: lease-lost"),
        Moment(after(12), "started", "attempt 3"),
        Moment(after(20), "cancel-requested", "by a client"),
        Moment(after(25), "finished", "failed"),
    ]


def test_the_timeline_ends_with_what_is_to_come() -> None:
    moments = [(each.at, each.what) for each in told(situation(LATER | {"deadline": after(60)})).timeline]
    assert moments == [(AT, "accepted"), (after(35), "due"), (after(60), "deadline")]


def test_a_start_is_told_once() -> None:
    found = situation(RETRYING, tries=[Try(1, "timed-out", after(1), after(2))])
    assert [each.what for each in told(found).timeline] == ["accepted", "started", "ended", "due"]
