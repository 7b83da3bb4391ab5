"""How a delivery is signed and written, and when it is tried again."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

import orjson
import pytest

from sluice.core.job import JobState
from sluice.core.webhook import (
    LARGEST_BODY,
    PAUSES_S,
    VERIFICATION_TRIES,
    Answer,
    make_secret,
    pause_s,
    show_secret,
    sign,
    write_body,
    write_test,
    write_verification,
)
from tests.support.make_jobs import AT, finished_job

PEPPER = "0123456789abcdef"


def test_a_secret_follows_from_the_pepper_the_endpoint_and_its_number() -> None:
    found = {
        make_secret(*each) for each in ((PEPPER, "a", 1), (PEPPER, "a", 2), (PEPPER, "b", 1), ("q", "a", 1))
    }
    assert len(found) == 4
    assert make_secret(PEPPER, "a", 1) in found
    shown = show_secret(make_secret(PEPPER, "a", 1))
    assert base64.b64decode(shown.removeprefix("whsec_")) == make_secret(PEPPER, "a", 1)


def test_a_signature_is_that_of_id_time_and_body_by_each_secret() -> None:
    headers = sign([b"one", b"two"], "an-id", 1_700_000_000, b"{}")
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("an-id", "1700000000")
    wanted = [
        "v1," + base64.b64encode(hmac.digest(key, b"an-id.1700000000.{}", "sha256")).decode()
        for key in (b"one", b"two")
    ]
    assert headers["webhook-signature"].split(" ") == wanted


def test_a_signature_is_the_one_that_the_library_of_standard_webhooks_makes() -> None:
    # By `standardwebhooks` 1.1.0 of PyPI: Webhook(whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=).sign(…)
    headers = sign(
        [bytes(range(32))], "5c1f9d0e-0000-4000-8000-000000000001", 1_700_000_000, b'{"type":"job.succeeded"}'
    )
    assert headers["webhook-signature"] == "v1,DDRDW/tQoWqLJU7abhLwt78fmMLNZ71kETFqpSF48pU="


def test_a_body_is_the_document_without_its_result() -> None:
    told = orjson.loads(write_body(finished_job()))
    assert (told["type"], told["timestamp"]) == ("job.succeeded", "2026-01-02T00:00:00Z")
    assert told["data"]["state"] == "succeeded"
    assert "result" not in told["data"]
    assert orjson.loads(write_test(AT)) == {
        "type": "webhook.test",
        "timestamp": "2026-01-02T00:00:00Z",
        "data": {},
    }


def test_a_body_that_is_too_long_loses_the_words_of_its_error() -> None:
    error = orjson.dumps(
        {"type": "handler-error", "title": "t" * 30_000, "detail": "d" * 30_000, "attempt": 2}
    )
    body = write_body(finished_job(state=JobState.FAILED, result=None, error=error))
    assert len(body) <= LARGEST_BODY
    assert orjson.loads(body)["data"]["error"] == {"type": "handler-error", "detail": "", "attempt": 2}


def test_ten_tries_take_three_days_and_a_longer_wish_is_kept_to() -> None:
    pauses = [pause_s(tries, 0, 1.0) for tries in range(1, 11)]
    assert pauses == [*PAUSES_S, None]
    assert 74 < sum(PAUSES_S) / 3_600 < 77
    assert pause_s(1, 60, 1.2) == 60
    assert pause_s(1, 1, 1.2) == 6
    assert pause_s(1, 1e9, 1.0) == 86_400 * 1.2


def test_any_success_is_one_and_nothing_else() -> None:
    taken = [Answer(status, "").delivered for status in (200, 204, 299, 199, 300, 302, 404, 500, None)]
    assert taken == [True] * 3 + [False] * 6


@pytest.mark.parametrize(
    ("status", "response", "delivered", "outcome"),
    [
        (204, b"abc", True, "answered 204"),
        (200, b"", False, "answered 200 with no webhook-challenge-response"),
        (200, b"abcd", False, "answered 200 with another webhook-challenge-response"),
        (500, b"abc", False, "answered 500"),
        (None, b"", False, "no answer"),
    ],
)
def test_a_challenge_is_met_by_sending_it_back_with_a_good_status(
    status: int | None, response: bytes, delivered: bool, outcome: str
) -> None:
    said = Answer(status, f"answered {status}" if status else "no answer", challenge_response=response)
    judged = said.judge_challenge("abc")
    assert (judged.delivered, judged.outcome, judged.status) == (delivered, outcome, status)


def test_a_verification_is_tried_four_times_and_told_of_no_job() -> None:
    assert [pause_s(tries, 0, 1, VERIFICATION_TRIES) for tries in (1, 2, 3, 4)] == [5, 300, 1_800, None]
    told = orjson.loads(write_verification(datetime(2026, 11, 28, tzinfo=UTC)))
    assert told == {"type": "webhook.verify", "timestamp": "2026-11-28T00:00:00Z", "data": {}}
