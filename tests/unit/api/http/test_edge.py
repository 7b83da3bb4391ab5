"""The outermost middleware."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import orjson
import pytest

from api.http.asgi import AsgiMessage, Receive, Scope, Send
from api.http.edge import (
    DOCS_SECURITY,
    REQUEST_ID,
    ROUTE,
    SECURITY,
    TRACEPARENT,
    EdgeMiddleware,
    request_id_of,
)
from api.http.response import CLOSE

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class RequestStats:
    in_flight = unread = 0

    def __init__(self) -> None:
        self.refused_connections: Counter[str] = Counter()
        self.seen: list[tuple[str, str, int]] = []

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((method, route, status))


class Inside:
    """Answers 200 and keeps the scope it was given."""

    def __init__(self, error: BaseException | None = None, start: bool = True) -> None:
        self.scope: Scope = {}
        self.error, self.start = error, start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        if self.start:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
            await send({"type": "http.response.body", "body": b"x"})
        if self.error:
            raise self.error


async def ask(app: Any, *headers: tuple[bytes, bytes], **scope: Any) -> list[AsgiMessage]:
    sent: list[AsgiMessage] = []

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    async def receive() -> AsgiMessage:
        return {"type": "http.disconnect"}

    whole = {"type": "http", "method": "GET", "path": "/v1/x", "headers": list(headers)} | scope
    await EdgeMiddleware(app, scope.pop("stats", None) or RequestStats(), access_log=True)(
        whole, receive, send
    )
    return sent


def headers_of(sent: list[AsgiMessage]) -> dict[bytes, bytes]:
    return dict(sent[0]["headers"])


async def test_every_answer_has_a_request_id_and_security_headers() -> None:
    inside = Inside()
    sent = await ask(inside)
    assert set(SECURITY) <= set(sent[0]["headers"])
    assert (b"a", b"b") in sent[0]["headers"]
    assert headers_of(sent)[b"x-request-id"].decode() == request_id_of(inside.scope)


async def test_request_ids_differ() -> None:
    inside = Inside()
    edge = EdgeMiddleware(inside, RequestStats())
    seen = set()

    async def send(message: AsgiMessage) -> None:
        return None

    async def receive() -> AsgiMessage:
        return {}

    for _ in range(100):
        await edge({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
        seen.add(inside.scope[REQUEST_ID])
    assert len(seen) == 100


async def test_a_good_request_id_of_the_client_is_kept() -> None:
    assert headers_of(await ask(Inside(), (b"x-request-id", b"a.B-9_")))[b"x-request-id"] == b"a.B-9_"


@pytest.mark.parametrize("given", [b"", b"a\nb", b"\x1b[31m", b"x" * 65, b"x" * 10_000, "é".encode()])
async def test_another_request_id_is_replaced(given: bytes) -> None:
    found = headers_of(await ask(Inside(), (b"x-request-id", given)))[b"x-request-id"]
    assert found != given
    assert len(found) < 64


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, True),
        (TRACE.replace(b"00-4b", b"01-4b"), True),
        (TRACE.replace(b"00-4b", b"ff-4b"), False),
        (TRACE.upper(), False),
        (TRACE + b"-00", False),
        (b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", False),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01", False),
        (b"nonsense", False),
    ],
)
async def test_only_a_well_formed_trace_goes_on(given: bytes, kept: bool) -> None:
    inside = Inside()
    await ask(inside, (b"traceparent", given))
    assert inside.scope[TRACEPARENT] == (given.decode() if kept else None)


async def test_requests_are_counted_by_template_and_never_by_id() -> None:
    class Route:
        path = "/v1/jobs/{job_id}"

    for more, expected in (
        ({"route": Route()}, ("GET", "/v1/jobs/{job_id}", 200)),
        ({ROUTE: "/v1/jobs"}, ("GET", "/v1/jobs", 200)),
        ({}, ("GET", "unmatched", 200)),
        ({"method": "PROPFIND"}, ("OTHER", "unmatched", 200)),
        ({"method": "HEAD"}, ("HEAD", "unmatched", 200)),
    ):
        stats = RequestStats()
        await ask(Inside(), stats=stats, **more)
        assert stats.seen == [expected]
        assert stats.in_flight == 0


async def test_who_leaves_asks_every_client_once_to_come_back_on_another_connection() -> None:
    async def closing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [CLOSE]})

    for app, staying in ((Inside(), 0), (closing, 1)):
        for leaving, expected in ((False, staying), (True, 1)):
            edge = EdgeMiddleware(app, RequestStats())
            edge.leaving = leaving
            sent: list[AsgiMessage] = []

            async def send(message: AsgiMessage, sent: list[AsgiMessage] = sent) -> None:
                sent.append(message)

            await edge({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, send)
            assert sent[0]["headers"].count(CLOSE) == expected


async def nothing() -> AsgiMessage:
    return {}


async def test_head_is_asked_of_the_inside_as_get() -> None:
    inside = Inside()
    await ask(inside, method="HEAD")
    assert inside.scope["method"] == "GET"


async def test_an_unforeseen_error_is_a_problem_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    stats = RequestStats()
    with caplog.at_level(logging.ERROR):
        sent = await ask(Inside(RuntimeError("inner"), start=False), stats=stats)
    assert sent[0]["status"] == 500
    assert b"inner" not in sent[1]["body"]
    assert orjson.loads(sent[1]["body"])["request_id"] == headers_of(sent)[b"x-request-id"].decode()
    assert stats.seen == [("GET", "unmatched", 500)]
    assert [record.message for record in caplog.records] == ["unforeseen"]


async def test_an_error_after_the_answer_began_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent = await ask(Inside(RuntimeError("inner")))
    assert len(sent) == 2
    assert "unforeseen" in caplog.text


async def test_a_client_that_left_is_counted_as_such() -> None:
    stats = RequestStats()
    await ask(Inside(start=False), stats=stats)
    assert stats.seen == [("GET", "unmatched", 499)]


async def test_the_access_log_has_no_query_and_no_headers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await ask(Inside(), (b"authorization", b"Bearer hidden"), query_string=b"secret=1")
    (line,) = caplog.records
    assert (line.__dict__["method"], line.__dict__["path"], line.__dict__["status"]) == ("GET", "/v1/x", 200)
    assert "hidden" not in str(line.__dict__)
    assert "secret" not in str(line.__dict__)


async def test_the_access_log_names_the_request_and_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with caplog.at_level(logging.INFO):
        header = (b"traceparent", f"00-{trace}-00f067aa0ba902b7-00".encode())
        sent = await ask(Inside(), header)
        await ask(Inside())
    traced, other = (vars(line) for line in caplog.records)
    assert (traced["request_id"].encode(), traced["trace_id"]) == (headers_of(sent)[b"x-request-id"], trace)
    assert "trace_id" not in other


async def test_docs_have_a_policy_of_their_own() -> None:
    sent = await ask(Inside(), path="/docs")
    assert set(DOCS_SECURITY) <= set(sent[0]["headers"])


async def test_what_is_not_http_goes_through_untouched() -> None:
    inside = Inside()
    sent = await ask(inside, type="lifespan")
    assert sent[0]["headers"] == [(b"a", b"b")]
