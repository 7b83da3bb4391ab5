"""The state machine: nothing leaves a terminal state, and every constructor walks a legal edge."""

import pytest

from sluice.core import lifecycle
from sluice.core.job import TERMINAL, JobState
from sluice.core.lifecycle import EDGES, Failure, Transition
from sluice.kinds.demo_sum import add_up
from tests.unit.consumer.make_attempts import a_job

FAILURE = Failure("handler-error", "LookupError", "x", True, "trace")
JOB = a_job(add_up, fence=9, attempt=2)

ENDINGS = [
    lifecycle.succeeded(JOB, b"{}"),
    lifecycle.failed(JOB, FAILURE),
    lifecycle.retried(JOB, FAILURE, 3),
    lifecycle.postponed(JOB, 3),
    lifecycle.released(JOB),
    lifecycle.crashed(JOB, FAILURE),
    lifecycle.crashed(JOB._replace(solo_crashes=2), FAILURE),
]


def test_nothing_leaves_a_terminal_state() -> None:
    assert not [edge for edge in EDGES if edge[0] in TERMINAL]


def test_every_state_can_be_reached_and_every_other_can_be_left() -> None:
    assert {after for _, after in EDGES} == set(JobState)
    assert {before for before, _ in EDGES} == set(JobState) - TERMINAL


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_of_an_attempt_is_a_legal_edge_of_the_claim_it_names(ending: Transition) -> None:
    assert (JobState.RUNNING, ending.state) in EDGES
    assert (ending.id, ending.fence) == (JOB.id, 9)


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_success_has_a_result_and_only_failure_an_error(ending: Transition) -> None:
    assert (ending.result is not None) == (ending.state == JobState.SUCCEEDED)
    if ending.state == JobState.FAILED:
        assert ending.error is not None
    if ending.outcome in ("succeeded", "postponed", "released"):
        assert ending.error is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_what_is_scheduled_has_a_wait(ending: Transition) -> None:
    assert (ending.delay_s is not None) == (ending.state == JobState.SCHEDULED)


def test_a_failure_never_shows_its_traceback_to_a_client() -> None:
    shown = Failure("handler-error", "LookupError", "x" * 9_000, False, "secret trace").to_json("demo.sum", 2)
    assert b"secret" not in shown
    assert len(shown) < 2_200
