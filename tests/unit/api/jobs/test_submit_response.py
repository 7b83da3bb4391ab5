"""Answers to a submit."""

from __future__ import annotations

from api.jobs.submit_response import answer_submit
from api.jobs.submit_result import SubmitResult
from tests.unit.api.jobs.test_job_response import document


def test_a_finished_submit_is_200_and_a_reused_one_says_so() -> None:
    assert answer_submit(SubmitResult(document("succeeded"))).status == 200
    assert answer_submit(SubmitResult(document())).status == 202
    reused = answer_submit(SubmitResult(document("succeeded"), reused=True, age_s=7, ttl_s=53)).headers
    assert {(b"cache-status", b"sluice; hit; ttl=53"), (b"age", b"7")} <= set(reused)


def test_a_shared_job_and_a_replayed_answer_say_so() -> None:
    shared = answer_submit(SubmitResult(document(), coalesced=True)).headers
    assert (b"cache-status", b"sluice; fwd=miss; collapsed") in shared
    replayed = answer_submit(SubmitResult(document(), replayed=True)).headers
    assert (b"idempotent-replayed", b"true") in replayed
    for name in (b"age", b"cache-status", b"idempotent-replayed"):
        assert name not in dict(answer_submit(SubmitResult(document())).headers)
