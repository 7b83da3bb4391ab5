"""Heads that are put together quickly are the same bytes that uvicorn writes, and what it refuses is refused."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.http import quick_cycle
from api.http.asgi import Header
from api.http.quick_cycle import LONG, QuickCycle

DATE: Header = (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")
PLAIN: list[Header] = [(b"content-type", b"application/json"), (b"etag", b'W/"1"')]
LENGTH: Header = (b"content-length", b"4")

NAMES = st.sampled_from(
    [b"etag", b"Location", b"connection", b"Connection", b"Transfer-Encoding", b"bad name", b"content-length"]
)
VALUES = st.sampled_from([b"0", b"4", b"keep-alive", b"close", b"chunked", b"4\r\nb: c", b"\xff", b'"1"'])


class Wire:
    """A transport that keeps what is written, and a flow that never waits."""

    write_paused = False

    def __init__(self) -> None:
        self.sent, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


def answer(
    made_by: type[RequestResponseCycle],
    status: int,
    headers: list[Header],
    bodies: list[bytes],
    method: str = "GET",
    keep_alive: bool = True,
    access_log: bool = False,
    then: str = "",
) -> tuple[Any, ...]:
    """Return what the client gets of an answer, and whether the server has refused to send it."""
    wire: Any = Wire()
    cycle = made_by(
        scope={"method": method, "http_version": "1.1", "client": None, "path": "/", "query_string": b""},  # type: ignore[typeddict-item]  # what is read of it
        transport=wire,
        flow=wire,
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=access_log,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )

    async def send() -> None:
        await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
        for left, body in zip(range(len(bodies) - 1, -1, -1), bodies, strict=True):
            await cycle.send({"type": "http.response.body", "body": body, "more_body": left > 0})
        if then:
            odd: Any = {"type": then, "status": 200, "headers": []}
            await cycle.send(odd)

    try:
        asyncio.run(send())
    except (RuntimeError, ValueError) as error:
        return wire.sent, wire.closed, cycle.response_complete, str(error)
    return wire.sent, wire.closed, cycle.response_complete, None


def check_same(*answered: Any, **how: Any) -> None:
    assert answer(QuickCycle, *answered, **how) == answer(RequestResponseCycle, *answered, **how)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("status", [200, 202, 204, 304, 404, 503])
@pytest.mark.parametrize("headers", [[*PLAIN, LENGTH], PLAIN, []])
@pytest.mark.parametrize("bodies", [[b"null"], [b""], [b"nu", b"ll"], [b"null", b""], [b"too long"]])
def test_every_answer_has_the_bytes_that_uvicorn_writes(
    status: int, headers: list[Header], bodies: list[bytes], method: str, keep_alive: bool
) -> None:
    check_same(status, headers, bodies, method=method, keep_alive=keep_alive)


@example([(b"content-length", b"0")])
@example([(b"content-length", b"4")])
@example([(b"content-length", b"four")])
@example([(b"Connection", b"close")])
@example([(b"transfer-encoding", b"chunked")])
@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_whatever_headers_there_are_the_bytes_are_those_of_uvicorn(headers: list[Header]) -> None:
    check_same(200, [*headers, LENGTH], [b"null"])


@pytest.mark.parametrize("length", [b"", b"four", b"-4", b" 4"])
def test_a_length_that_is_no_number_is_left_to_uvicorn(length: bytes) -> None:
    check_same(200, [(b"content-length", length)], [b"null"])


def test_a_usual_answer_is_put_together_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Header] = []

    def write(header: Header) -> bytes:
        asked.append(header)
        return b"x: y\r\n"

    monkeypatch.setattr(quick_cycle, "_line", write)
    sent = answer(QuickCycle, 200, [*PLAIN, LENGTH], [b"null"])[0]
    assert (len(asked), sent) == (4, b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 4 + b"\r\nnull")


def test_every_request_is_logged_by_uvicorn_if_it_is_asked_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    check_same(200, [*PLAIN, LENGTH], [b"null"], access_log=True)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("then", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("bodies", [[], [b""]])
@pytest.mark.parametrize("headers", [[(b"content-length", b"0")], PLAIN])
def test_messages_out_of_order_are_refused(then: str, bodies: list[bytes], headers: list[Header]) -> None:
    check_same(200, headers, bodies, then=then)


def test_long_lines_are_not_kept() -> None:
    quick_cycle._line.cache_clear()
    for size in (10, LONG):
        check_same(200, [LENGTH, (b"x-request-id", b"a" * size)], [b"null"])
        assert (quick_cycle._line.cache_info().currsize > 0) == (size < LONG)
