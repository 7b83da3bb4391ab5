"""The checker sees each broken promise, and takes no kept one for broken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fault.chaos.checker import STALE_S, Verdict, judge
from tests.fault.chaos.client_log import ClientLog
from tests.fault.chaos.kinds import answer_to
from tests.fault.chaos.record_snapshot import FailedAttempt, HandlerRun, RecordSnapshot, Row

SUM = Row(
    id="a", tenant="demo", number=1, kind="chaos.sum", state="succeeded", fence=1, crashes=0, solo_crashes=0,
    answer=answer_to(1), answer_fence=1, error=None, created=1.0, finished=2.0,
)  # fmt: skip
HARMED = frozenset({7, 8})
DIED = FailedAttempt("a", 1, "worker-lost", None, 1.5)
LOST = FailedAttempt("a", 1, "lease-lost", 77, 1.5)


def log(**changes: Any) -> ClientLog:
    """Make the log of a client that requested job 1 and was answered with `a`."""
    made = ClientLog()
    job = made.add_job(1, "chaos.sum")
    job.acknowledge("a")
    for name, value in changes.items():
        setattr(job, name, value)
    return made


def verdict_on(
    rows: list[Row],
    attempts: list[FailedAttempt] | None = None,
    ledger: list[HandlerRun] | None = None,
    **told: Any,
) -> Verdict:
    """Judge these rows; unless said otherwise, every row's last claim has run."""
    ran = [HandlerRun(row.id, row.fence) for row in rows] if ledger is None else ledger
    return judge(log(**told), RecordSnapshot(rows, attempts or [], ran, HARMED))


def violations_of(verdict: Verdict) -> set[str]:
    return set(verdict.violations.counts)


def test_a_job_that_was_done_once_is_all_right() -> None:
    verdict = verdict_on([SUM])
    assert verdict.good
    counts = verdict.counts
    assert (counts["accepted jobs"], counts["ok"], counts["handler runs"]) == (1, 1, 1)


def test_a_job_that_was_taken_over_is_all_right() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    verdict = verdict_on([row], [LOST], [HandlerRun("a", 1), HandlerRun("a", 2)])
    assert verdict.good
    assert verdict.counts["jobs run more than once"] == 1
    assert verdict.counts["attempts lease-lost"] == 1


def test_an_unknown_outcome_may_be_a_job_or_none() -> None:
    there = verdict_on([SUM], ids=(), unknown=True)
    assert there.good
    assert there.counts["recovered"] == 1
    absent = verdict_on([], ids=(), unknown=True)
    assert absent.good
    assert (absent.counts["recovered"], absent.counts["unknown, never acknowledged"]) == (0, 1)


def test_a_cancelled_job_is_all_right_where_somebody_asked() -> None:
    row = SUM._replace(state="cancelled", answer=None, answer_fence=None)
    asked = FailedAttempt("a", 1, "cancelled", None, 1.0)
    assert verdict_on([row], [asked], cancel_requested=True, cancelled=True).good
    assert verdict_on([row._replace(fence=0)], ledger=[], cancel_requested=True, cancelled=True).good


def test_a_job_that_killed_its_process_three_times_may_be_given_up() -> None:
    row = SUM._replace(
        state="failed", answer=None, answer_fence=None, error="worker-lost", solo_crashes=3, fence=4
    )
    ends = [LOST._replace(fence=fence) for fence in range(1, 5)]
    verdict = verdict_on([row], ends, [HandlerRun("a", fence) for fence in range(1, 5)])
    assert verdict.good
    assert verdict.counts["given up"] == 1
    assert violations_of(verdict_on([row], ends)) == {"given up although it never ran alone so often"}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (SUM._replace(answer=5), "wrong content"),
        (SUM._replace(answer_fence=0), "written by an older claim"),
        (SUM._replace(state="running", finished=None), "stuck"),
        (SUM._replace(state="queued", fence=0, finished=None), "stuck"),
        (SUM._replace(state="failed", answer=None, error="handler-error"), "failed without a reason"),
        (SUM._replace(state="cancelled", answer=None), "cancelled by nobody"),
    ],
)
def test_a_row_that_is_not_as_promised_is_seen(row: Row, name: str) -> None:
    assert name in violations_of(verdict_on([row]))


def test_a_lost_job_is_seen() -> None:
    assert violations_of(verdict_on([])) == {"lost"}


def test_a_job_of_another_request_is_seen() -> None:
    assert "another's job" in violations_of(verdict_on([SUM._replace(number=2, answer=answer_to(2))]))


def test_a_job_of_another_tenant_is_seen() -> None:
    assert violations_of(verdict_on([SUM._replace(tenant="acme")])) == {"another's job"}


def test_two_jobs_for_one_request_are_seen() -> None:
    assert violations_of(verdict_on([SUM, SUM._replace(id="b")])) == {"duplicated"}
    assert violations_of(verdict_on([SUM, SUM._replace(id="b")], ids=("a", "b"))) == {"duplicated"}


def test_a_job_that_nobody_requested_is_seen() -> None:
    assert violations_of(verdict_on([SUM, SUM._replace(id="b", number=9, answer=answer_to(9))])) == {
        "unexpected"
    }


def test_a_job_that_was_accepted_although_its_client_was_told_that_it_was_not_is_seen() -> None:
    assert violations_of(verdict_on([SUM], ids=(), refused=True)) == {"accepted although refused"}
    assert verdict_on([SUM], ids=(), refused=True, unknown=True).good


def test_a_broken_promise_to_cancel_is_seen() -> None:
    assert violations_of(verdict_on([SUM], cancel_requested=True, cancelled=True)) == {
        "succeeded although cancelled"
    }


def test_a_claim_without_an_end_is_seen() -> None:
    row = SUM._replace(fence=2, answer_fence=2)
    ran = [HandlerRun("a", 1), HandlerRun("a", 2)]
    assert violations_of(verdict_on([row], [], ran)) == {"claims unexplained"}
    assert violations_of(verdict_on([row], [LOST, LOST._replace(fence=2)], ran)) == {"claims unexplained"}


def test_a_handler_that_ran_twice_under_one_claim_is_seen() -> None:
    assert violations_of(verdict_on([SUM], ledger=[HandlerRun("a", 1), HandlerRun("a", 1)])) == {
        "ran twice under one claim"
    }


def test_a_handler_that_began_again_where_its_host_was_lost_is_all_right() -> None:
    again = [HandlerRun("a", 1, 7), HandlerRun("a", 1, 8), HandlerRun("a", 1, 9)]
    assert verdict_on([SUM], ledger=again).good
    assert verdict_on([SUM], ledger=again).counts["claims run more than once"] == 1


@pytest.mark.parametrize("pids", [(7, 7), (9, 7), (7, 9, 8)])
def test_a_handler_that_began_again_while_its_host_lived_is_seen(pids: tuple[int, ...]) -> None:
    assert violations_of(verdict_on([SUM], ledger=[HandlerRun("a", 1, pid) for pid in pids])) == {
        "ran twice under one claim"
    }


def test_the_only_job_of_a_harmed_host_may_be_charged() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    assert verdict_on([row], [DIED], [HandlerRun("a", 1, 7), HandlerRun("a", 2, 9)]).good
    assert verdict_on([row], [DIED], [HandlerRun("a", 2, 9)]).good, "it was charged before it had begun"


@pytest.mark.parametrize("kind", ["hostile.exit", "hostile.slot"])
def test_a_job_that_does_harm_may_be_charged(kind: str) -> None:
    row = SUM._replace(kind=kind, fence=2, answer_fence=2, crashes=1)
    ran = [HandlerRun("a", 1, 1), HandlerRun("a", 1, 2), HandlerRun("a", 2, 3)]
    assert verdict_on([row], [DIED], ran).good


@pytest.mark.parametrize(
    ("died", "pid"), [(DIED, 9), (DIED._replace(outcome="handler-error"), 7), (DIED._replace(outcome="timed-out"), 9)]
)  # fmt: skip
def test_a_charge_for_what_another_did_is_seen(died: FailedAttempt, pid: int) -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    verdict = verdict_on([row], [died], [HandlerRun("a", 1, pid), HandlerRun("a", 2, 10)])
    assert violations_of(verdict) == {"charged although not the cause"}


def test_two_charges_for_one_harmed_host_are_seen() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    pure = row._replace(id="b", kind="chaos.pure", number=-1, answer=answer_to(-1), answer_fence=None)
    ran = [HandlerRun(each, fence, pid) for each in "ab" for fence, pid in ((1, 7), (2, 9))]
    verdict = verdict_on([row, pure], [DIED, DIED._replace(job_id="b")], ran)
    assert verdict.violations.counts == {"charged although not the cause": 1}


def test_a_run_without_a_claim_is_seen() -> None:
    assert violations_of(verdict_on([SUM], ledger=[HandlerRun("a", 1), HandlerRun("a", 2)])) == {
        "ran without a claim"
    }
    assert violations_of(verdict_on([SUM], ledger=[HandlerRun("a", 1), HandlerRun("z", 1)])) == {
        "ran without a claim"
    }


def test_a_result_from_nowhere_is_seen() -> None:
    assert violations_of(verdict_on([SUM], ledger=[])) == {"succeeded without running"}


def test_pure_work_is_done_once_for_all() -> None:
    row = SUM._replace(kind="chaos.pure", number=-1, answer=answer_to(-1), answer_fence=None)
    asked = ClientLog()
    asked.pure["demo", -1] = {"a", "b"}
    twice = RecordSnapshot([row, row._replace(id="b")], [], [HandlerRun("a", 1), HandlerRun("b", 1)])
    assert set(judge(asked, twice).violations.counts) == {"same work done twice"}
    once = ClientLog()
    once.pure["demo", -1] = {"a"}
    assert judge(once, RecordSnapshot([row], [], [HandlerRun("a", 1)])).good
    gone = ClientLog()
    gone.pure["demo", -1] = {"a"}
    assert set(judge(gone, RecordSnapshot([], [], [])).violations.counts) == {"lost"}


def test_a_job_taken_from_its_consumer_where_nothing_was_broken_is_seen() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    record = RecordSnapshot([row], [LOST], [HandlerRun("a", 1), HandlerRun("a", 2)])
    assert judge(log(), record).good
    assert set(judge(log(), record, no_faults=True).violations.counts) == {"taken from a living consumer"}


def test_an_answer_that_is_out_of_date_is_seen() -> None:
    asked = log()
    asked.unfinished_at["a"] = 2.0 + STALE_S + 1
    assert set(judge(asked, RecordSnapshot([SUM], [], [HandlerRun("a", 1)])).violations.counts) == {
        "shown unfinished after its end"
    }
    asked = log()
    asked.unfinished_at["a"] = 2.0
    assert judge(asked, RecordSnapshot([SUM], [], [HandlerRun("a", 1)])).good


def test_what_clients_saw_to_be_wrong_is_part_of_the_verdict() -> None:
    seen = log()
    seen.violations.add("went back", "3 then 2")
    assert not judge(seen, RecordSnapshot([SUM], [], [HandlerRun("a", 1)])).good
