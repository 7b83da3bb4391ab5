"""Answers that show a job."""

from __future__ import annotations

import asyncio

import pytest

from api.http import response as answers
from api.http.response import (
    AsgiMessage,
    Reply,
    SubmitResult,
    accepted,
    found,
    matches,
    not_modified,
    send_last,
    soon,
)
from sluice.core.document import Document

ID = "01900000-0000-7000-8000-00000000000"


def document(state: str = "queued", version: int = 3) -> Document:
    return Document(ID + "1", "acme", version, state, 1, 3, b"{42}")


def test_lengths_are_right() -> None:
    for reply in (
        found(document()),
        accepted(SubmitResult(document())),
        answers.result(document("succeeded")),
    ):
        assert dict(reply.headers)[b"content-length"] == b"%d" % len(reply.body)


def test_unchanged_documents_repeat_validator_and_freshness_only() -> None:
    reply = not_modified(document("succeeded"))
    assert {name for name, _ in reply.headers} == {b"etag", b"cache-control", b"vary"}
    assert reply.body == b""


@pytest.mark.parametrize(
    ("validators", "same"),
    [
        (b'"3"', True),
        (b'W/"3"', True),
        (b'"2", "3"', True),
        (b'"1",W/"3"', True),
        (b"*", True),
        (b'"33"', False),
        (b"3", False),
        (b'"2"', False),
        (b"", False),
        (b'w/"3"', False),
    ],
)
def test_validators_are_compared_weakly(validators: bytes, same: bool) -> None:
    assert matches(validators, document()) is same


def test_the_time_to_ask_again_differs_between_jobs() -> None:
    jobs = [document()._replace(id=ID + digit) for digit in "0123456789abcdef"]
    assert {soon(job)[1] for job in jobs} == {b"1", b"2"}


def test_a_finished_submit_is_200_and_a_reused_one_says_so() -> None:
    assert accepted(SubmitResult(document("succeeded"))).status == 200
    assert accepted(SubmitResult(document())).status == 202
    reused = accepted(SubmitResult(document("succeeded"), reused=True, age_s=7, ttl_s=53)).headers
    assert {(b"cache-status", b"sluice; hit; ttl=53"), (b"age", b"7")} <= set(reused)


def test_a_shared_job_and_a_replayed_answer_say_so() -> None:
    shared = accepted(SubmitResult(document(), coalesced=True)).headers
    assert (b"cache-status", b"sluice; fwd=miss; collapsed") in shared
    replayed = accepted(SubmitResult(document(), replayed=True)).headers
    assert (b"idempotent-replayed", b"true") in replayed
    for name in (b"age", b"cache-status", b"idempotent-replayed"):
        assert name not in dict(accepted(SubmitResult(document())).headers)


async def test_the_last_answer_of_a_connection_waits_for_what_is_still_sent() -> None:
    sent: list[AsgiMessage] = []
    rest = iter([{"type": "http.request", "more_body": True}] * 3 + [{"type": "http.disconnect"}])

    async def receive() -> AsgiMessage:
        return next(rest)

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await send_last(Reply(413, [], b"no"), receive, send)
    assert [message.get("body") for message in sent] == [None, b"no", b""]
    assert next(rest, None) is None


async def test_the_last_answer_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LINGER_S", 0.01)
    sent: list[AsgiMessage] = []

    async def receive() -> AsgiMessage:
        never: AsgiMessage = await asyncio.get_running_loop().create_future()
        return never

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await send_last(Reply(413, [], b"no"), receive, send)
    assert len(sent) == 3
