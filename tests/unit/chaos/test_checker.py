"""Each broken promise is seen by the account, and a kept one is not taken for broken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fault.chaos.checker import STALE_S, Verdict, judge
from tests.fault.chaos.client_log import ClientLog
from tests.fault.chaos.kinds import answer_to
from tests.fault.chaos.record_snapshot import Ended, Ran, Record, Row

SUM = Row(
    id="a", tenant="demo", number=1, kind="chaos.sum", state="succeeded", fence=1, crashes=0, solo_crashes=0,
    answer=answer_to(1), answer_fence=1, error=None, created=1.0, finished=2.0,
)  # fmt: skip
LOST = Ended("a", 1, "lease-lost", 77, 1.5)


def book(**changes: Any) -> ClientLog:
    """A client wished for 1 and was told `a`."""
    made = ClientLog()
    wish = made.wish(1, "chaos.sum")
    wish.told("a")
    for name, value in changes.items():
        setattr(wish, name, value)
    return made


def judged(
    rows: list[Row], attempts: list[Ended] | None = None, ledger: list[Ran] | None = None, **told: Any
) -> Verdict:
    """Where nothing else is said, every row's last claim has run."""
    ran = [Ran(row.id, row.fence) for row in rows] if ledger is None else ledger
    return judge(book(**told), Record(rows, attempts or [], ran))


def wrong(verdict: Verdict) -> set[str]:
    return set(verdict.wrongs.counts)


def test_a_job_that_was_done_once_is_all_right() -> None:
    verdict = judged([SUM])
    assert verdict.good
    counts = verdict.counts
    assert (counts["accepted jobs"], counts["ok"], counts["handler runs"]) == (1, 1, 1)


def test_a_job_that_was_taken_over_is_all_right() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    verdict = judged([row], [LOST], [Ran("a", 1), Ran("a", 2)])
    assert verdict.good
    assert verdict.counts["jobs run more than once"] == 1
    assert verdict.counts["attempts lease-lost"] == 1


def test_an_unknown_outcome_may_be_a_job_or_none() -> None:
    there = judged([SUM], ids=(), unknown=True)
    assert there.good
    assert there.counts["recovered"] == 1
    absent = judged([], ids=(), unknown=True)
    assert absent.good
    assert (absent.counts["recovered"], absent.counts["unknown, never acknowledged"]) == (0, 1)


def test_a_cancelled_job_is_all_right_where_somebody_asked() -> None:
    row = SUM._replace(state="cancelled", answer=None, answer_fence=None)
    asked = Ended("a", 1, "cancelled", None, 1.0)
    assert judged([row], [asked], regretted=True, cancelled=True).good
    assert judged([row._replace(fence=0)], ledger=[], regretted=True, cancelled=True).good


def test_a_job_that_killed_its_process_three_times_may_be_given_up() -> None:
    row = SUM._replace(
        state="failed", answer=None, answer_fence=None, error="worker-lost", solo_crashes=3, fence=4
    )
    ends = [LOST._replace(fence=fence) for fence in range(1, 5)]
    verdict = judged([row], ends, [Ran("a", fence) for fence in range(1, 5)])
    assert verdict.good
    assert verdict.counts["given up"] == 1
    assert wrong(judged([row], ends)) == {"given up although it never ran alone so often"}


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
    assert name in wrong(judged([row]))


def test_a_lost_job_is_seen() -> None:
    assert wrong(judged([])) == {"lost"}


def test_a_job_of_another_wish_is_seen() -> None:
    assert "another's job" in wrong(judged([SUM._replace(number=2, answer=answer_to(2))]))


def test_a_job_of_another_tenant_is_seen() -> None:
    assert wrong(judged([SUM._replace(tenant="acme")])) == {"another's job"}


def test_two_jobs_for_one_wish_are_seen() -> None:
    assert wrong(judged([SUM, SUM._replace(id="b")])) == {"duplicated"}
    assert wrong(judged([SUM, SUM._replace(id="b")], ids=("a", "b"))) == {"duplicated"}


def test_a_job_that_nobody_wished_for_is_seen() -> None:
    assert wrong(judged([SUM, SUM._replace(id="b", number=9, answer=answer_to(9))])) == {"unexpected"}


def test_a_job_that_was_accepted_although_its_client_was_told_that_it_was_not_is_seen() -> None:
    assert wrong(judged([SUM], ids=(), refused=True)) == {"accepted although refused"}
    assert judged([SUM], ids=(), refused=True, unknown=True).good


def test_a_broken_promise_to_cancel_is_seen() -> None:
    assert wrong(judged([SUM], regretted=True, cancelled=True)) == {"succeeded although cancelled"}


def test_a_claim_without_an_end_is_seen() -> None:
    row = SUM._replace(fence=2, answer_fence=2)
    ran = [Ran("a", 1), Ran("a", 2)]
    assert wrong(judged([row], [], ran)) == {"claims unexplained"}
    assert wrong(judged([row], [LOST, LOST._replace(fence=2)], ran)) == {"claims unexplained"}


def test_a_handler_that_ran_twice_under_one_claim_is_seen() -> None:
    assert wrong(judged([SUM], ledger=[Ran("a", 1), Ran("a", 1)])) == {"ran twice under one claim"}


def test_a_run_without_a_claim_is_seen() -> None:
    assert wrong(judged([SUM], ledger=[Ran("a", 1), Ran("a", 2)])) == {"ran without a claim"}
    assert wrong(judged([SUM], ledger=[Ran("a", 1), Ran("z", 1)])) == {"ran without a claim"}


def test_a_result_from_nowhere_is_seen() -> None:
    assert wrong(judged([SUM], ledger=[])) == {"succeeded without running"}


def test_pure_work_is_done_once_for_all() -> None:
    row = SUM._replace(kind="chaos.pure", number=-1, answer=answer_to(-1), answer_fence=None)
    asked = ClientLog()
    asked.pure["demo", -1] = {"a", "b"}
    twice = Record([row, row._replace(id="b")], [], [Ran("a", 1), Ran("b", 1)])
    assert set(judge(asked, twice).wrongs.counts) == {"same work done twice"}
    once = ClientLog()
    once.pure["demo", -1] = {"a"}
    assert judge(once, Record([row], [], [Ran("a", 1)])).good
    gone = ClientLog()
    gone.pure["demo", -1] = {"a"}
    assert set(judge(gone, Record([], [], [])).wrongs.counts) == {"lost"}


def test_a_job_taken_from_its_consumer_where_nothing_was_broken_is_seen() -> None:
    row = SUM._replace(fence=2, answer_fence=2, crashes=1)
    record = Record([row], [LOST], [Ran("a", 1), Ran("a", 2)])
    assert judge(book(), record).good
    assert set(judge(book(), record, calm=True).wrongs.counts) == {"taken from a living consumer"}


def test_an_answer_that_is_out_of_date_is_seen() -> None:
    asked = book()
    asked.unfinished_at["a"] = 2.0 + STALE_S + 1
    assert set(judge(asked, Record([SUM], [], [Ran("a", 1)])).wrongs.counts) == {
        "shown unfinished after its end"
    }
    asked = book()
    asked.unfinished_at["a"] = 2.0
    assert judge(asked, Record([SUM], [], [Ran("a", 1)])).good


def test_what_clients_saw_to_be_wrong_is_part_of_the_verdict() -> None:
    seen = book()
    seen.wrongs.add("went back", "3 then 2")
    assert not judge(seen, Record([SUM], [], [Ran("a", 1)])).good
