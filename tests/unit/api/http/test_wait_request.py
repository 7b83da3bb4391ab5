"""How long a request asks to wait: in its query, or as a preference."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from api.http.request import read_wait
from sluice.core.errors import Invalid


def asking(query: bytes = b"", *prefer: bytes) -> Request:
    headers = [(b"prefer", value) for value in prefer]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": headers})


@pytest.mark.parametrize(
    ("prefer", "seconds", "applied"),
    [
        ([b"wait=5"], 5, b"wait=5"),
        ([b"wait=1.5"], 1.5, b"wait=1.5"),
        ([b"wait=0.125"], 0.125, b"wait=0.125"),
        ([b"wait=0.12345678901"], 0.12345678901, b"wait=0.123456789"),
        ([b'Wait = "7"'], 7, b"wait=7"),
        ([b"wait=999999999"], 55, b"wait=55"),
        ([b"wait=" + b"9" * 15_000], 55, b"wait=55"),
        ([b"respond-async, wait=10"], 10, b"wait=10"),
        ([b"wait=10; x=y, return=minimal"], 10, b"wait=10"),
        ([b"return=minimal", b"wait=3"], 3, b"wait=3"),
        ([b"wait=3, wait=4", b"wait=5"], 3, b"wait=3"),
        ([b'x="a, wait=9", wait=2'], 2, b"wait=2"),
    ],
)
def test_a_preference_is_followed_and_confirmed(prefer: list[bytes], seconds: float, applied: bytes) -> None:
    wait = read_wait(asking(b"", *prefer), 55)
    assert (wait.seconds, wait.headers) == (seconds, [(b"preference-applied", applied)])


@pytest.mark.parametrize(
    "prefer",
    [
        b"",
        b"wait",
        b"wait=",
        b"wait=-1",
        b"wait=1e3",
        b"wait=.5",
        b"wait=5s",
        b"wait=5 6",
        b"wait=\xb2",
        b'wait="5',
        b"nowait=5",
        b"x; wait=5",
        b'x="wait=5',
        b'x="\\", wait=5"',
        b"respond-async",
        b'"' * 10_000,
        b'"\\' * 10_000,
        b"," * 10_000,
    ],
)
def test_a_preference_that_cannot_be_followed_is_ignored(prefer: bytes) -> None:
    assert read_wait(asking(b"", prefer), 55) == (0.0, [])


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"wait=0", 0),
        (b"wait=1.5", 1.5),
        (b"wait=55", 55),
        (b"wait=40.33861865742846", 40.33861865742846),
        (b"wait=2.2e-16", 2.2e-16),
        (b"wait=1E1", 10),
    ],
)
def test_a_query_is_followed_and_comes_before_a_preference(query: bytes, seconds: float) -> None:
    assert read_wait(asking(query, b"wait=9"), 55) == (seconds, [])


@pytest.mark.parametrize(
    "query",
    [
        b"wait=",
        b"wait=x",
        b"wait=-1",
        b"wait=56",
        b"wait=%D9%A1",
        b"wait=1&wait=1",
        b"wait=inf",
        b"wait=%00",
        b"wait=1e2",
        b"wait=9e999",
        b"wait=1e",
        b"wait=0x1",
    ],
)
def test_a_wrong_query_is_refused(query: bytes) -> None:
    with pytest.raises(Invalid):
        read_wait(asking(query), 55)
