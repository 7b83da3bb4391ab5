"""Answers that show a job."""

from __future__ import annotations

import pytest

from api.http.retry_after import retry_soon
from api.jobs.job_response import accepted, found, matches, not_modified, result
from sluice.core.document import Document

ID = "01900000-0000-7000-8000-00000000000"


def document(state: str = "queued", version: int = 3) -> Document:
    return Document(ID + "1", "acme", version, state, 1, 3, b"{42}")


def test_lengths_are_right() -> None:
    for reply in (
        found(document()),
        accepted(document()),
        result(document("succeeded")),
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
        (b'"3-gzip"', True),
        (b'W/"3-br"', True),
        (b'"2", "3;gzip"', True),
        (b'"2-gzip"', False),
        (b'"3-2"', False),
    ],
)
def test_validators_are_compared_weakly(validators: bytes, same: bool) -> None:
    assert matches(validators, document()) is same


@pytest.mark.timeout(5)
def test_no_validator_takes_long() -> None:
    for long in (b"-", b";", b'"3-', b'W/"3', b"3", b"a-", b'"3",'):
        assert matches(b'"3' + long * (100_000 // len(long)), document()) is (long == b'"3",')


def test_the_time_to_ask_again_differs_between_jobs() -> None:
    jobs = [document()._replace(id=ID + digit) for digit in "0123456789abcdef"]
    assert {retry_soon(job)[1] for job in jobs} == {b"1", b"2"}
