"""Whatever is answered is counted once, with the status that its client got. A real server, bare sockets."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from api.app import RunningApi
from api.http.asgi import AsgiApp, Receive, Scope, Send
from api.http.connection_caps import ConnectionCaps
from api.http.edge import ROUTE, EdgeMiddleware
from api.http.prefix import behind_proxies
from api.http.unread_answers import UnreadAnswers
from api.http.uvicorn_protocol import Protocol
from api.serving import _config
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.runtime.telemetry import Telemetry
from tests.unit.api.http.test_edge import RequestStats
from tests.unit.api.http.test_uvicorn_protocol import echo, serving
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings
from tests.unit.api.test_scaling_answer import Scene

POST = b"POST /01 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = b"zz\r\n"


async def routed(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for the body."""
    scope[ROUTE] = "/{n}"
    await echo(scope, receive, send)


async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after a while, and never looks at the body."""
    scope[ROUTE] = "/{n}"
    await asyncio.sleep(0.1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def answers_to(data: bytes, app: AsgiApp, stats: RequestStats, prefix: str = "") -> list[int]:
    """Send this, and return the status of every answer until the connection is closed."""
    edge = EdgeMiddleware(app, stats, access_log=True)
    async with (
        serving(behind_proxies(edge, prefix, ()), 0.2, edge=edge) as server,
        server.connected() as (reader, writer),
    ):
        writer.write(data)
        text = await asyncio.wait_for(reader.read(), 5)
        return [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3}) ", text)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NOT HTTP AT ALL\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /01 HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /01 HTT", 408),
    ],
)
async def test_what_never_becomes_a_request_is_counted_and_logged(
    data: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    stats = RequestStats()
    with caplog.at_level(logging.INFO, "sluice.http"):
        assert await answers_to(data, routed, stats) == [status]
    assert stats.seen == [("OTHER", "unmatched", status)]
    assert [(line.method, line.status) for line in caplog.records] == [("OTHER", status)]  # type: ignore[attr-defined]  # extra fields


async def test_a_connection_that_asks_nothing_is_not_counted() -> None:
    stats = RequestStats()
    assert await answers_to(b"", routed, stats) == []
    assert stats.seen == []


@pytest.mark.parametrize("app", [routed, deaf])
@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_request_with_a_broken_body_is_counted_as_it_was_answered(app: AsgiApp, prefix: str) -> None:
    stats = RequestStats()
    assert await answers_to(POST + BROKEN, app, stats, prefix) == [400]
    assert stats.seen == [("POST", "/{n}", 400)]


async def test_a_broken_request_behind_another_is_counted_beside_it() -> None:
    stats = RequestStats()
    first = b"POST /01 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
    answered = await answers_to(first + POST + BROKEN, deaf, stats)
    assert answered == [200, 400]
    assert stats.seen == [("POST", "/{n}", 200), ("OTHER", "unmatched", 400)]


def test_the_process_counts_them_where_it_counts_requests() -> None:
    stats = RequestStats()
    edge = EdgeMiddleware(routed, stats)
    state, problems = build_state(Record(), settings(), Clock()), ConfigProblems(Telemetry())
    api = RunningApi(edge, edge, state, {}, problems, Scene().scaling)
    unread = UnreadAnswers(1, edge.record_unread)
    caps = ConnectionCaps(1, 0, lambda _: False, edge.record_refused_connection)
    config = _config(api, api.state.settings, unread, caps)
    config.load()
    assert issubclass(config.http_protocol_class, Protocol)
    assert config.http_protocol_class.edge is edge
    assert config.http_protocol_class.unread is unread
    assert config.http_protocol_class.caps is caps
    edge.record_unread()
    assert stats.unread == 1
