"""The span of a request: what it is called, and that its job descends from it."""

from __future__ import annotations

import pytest

from api.http.asgi import AsgiMessage, Receive, Scope, Send
from api.http.edge import ROUTE, TRACEPARENT, WAITED_S
from api.http.traced_edge import TracedEdge
from sluice.core.runtime.tracing import Span, Tracing
from sluice.core.slo import CACHED
from tests.unit.api.http.test_edge import RequestStats

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CLIENT}-01", f"00-{TRACE}-{CLIENT}-00"


class TracedStats(RequestStats):
    def __init__(self) -> None:
        super().__init__()
        self.examples: list[tuple[str, str, float, str]] = []

    def exemplify(self, method: str, route: str, seconds: float, trace_id: str) -> None:
        self.examples.append((method, route, seconds, trace_id))


class Request:
    """A request that is answered with this status; 0: its client leaves before that, None: the route breaks."""

    def __init__(self, status: int | None = 202, route: str = "/v1/jobs/{job_id}") -> None:
        self.status, self.route, self.seen = status, route, ""
        self.spans: list[Span] = []
        self.stats = TracedStats()
        self.sent: list[AsgiMessage] = []

    async def ask(self, traceparent: str | None, method: str = "POST", ratio: float = 0) -> list[Span]:
        """Send it; return the spans that came of it."""
        headers = [(b"traceparent", traceparent.encode())] if traceparent else []
        scope = {
            "type": "http", "method": method, "path": "/v1/jobs/7", "scheme": "http", "headers": headers,
            "query_string": b"secret=1",
        }  # fmt: skip
        edge = TracedEdge(self._answer, self.stats, False, Tracing(self.spans.append, ratio, lambda: 0.5))
        await edge(scope, self._receive, self._send)
        return self.spans

    async def _answer(self, scope: Scope, _: Receive, send: Send) -> None:
        self.seen = scope[TRACEPARENT]
        scope[ROUTE] = self.route
        scope[WAITED_S] = 60.0
        if self.status is None:
            raise RuntimeError("unforeseen")
        if self.status:
            await send({"type": "http.response.start", "status": self.status, "headers": []})

    async def _receive(self) -> AsgiMessage:
        raise AssertionError

    async def _send(self, message: AsgiMessage) -> None:
        self.sent.append(message)


async def test_a_request_has_a_span_whose_child_its_job_becomes() -> None:
    request = Request()
    (span,) = await request.ask(SAMPLED)
    assert (span.name, span.kind, span.error, span.links) == ("POST /v1/jobs/{job_id}", "server", "", ())
    assert (span.parent, span.context.trace_id) == ((TRACE, CLIENT), TRACE)
    assert request.seen == span.context.traceparent
    assert request.stats.examples == [
        ("POST", "/v1/jobs/{job_id}", 0.0, TRACE)
    ]  # without what it asked to wait
    assert 0 < span.start_ns <= span.end_ns
    assert span.attributes.pop("sluice.request_id")  # type: ignore[attr-defined]  # it is a dict
    assert span.attributes == {
        "http.request.method": "POST", "http.route": "/v1/jobs/{job_id}", "http.response.status_code": 202,
        "url.path": "/v1/jobs/7", "url.scheme": "http",
    }  # fmt: skip


async def test_a_look_up_that_is_counted_apart_is_named_by_its_route() -> None:
    request = Request(200, "/v1/jobs/{job_id}" + CACHED)
    (span,) = await request.ask(SAMPLED, "GET")
    assert (span.name, span.attributes["http.route"]) == ("GET /v1/jobs/{job_id}", "/v1/jobs/{job_id}")
    assert request.stats.examples == [("GET", "/v1/jobs/{job_id}", 0.0, TRACE)]


@pytest.mark.parametrize("traceparent", [None, UNSAMPLED])
async def test_another_has_none_and_its_job_keeps_what_was_sent(traceparent: str | None) -> None:
    request = Request()
    assert await request.ask(traceparent) == []
    assert request.stats.examples == []
    assert request.seen == traceparent


async def test_one_that_chance_picks_begins_a_trace() -> None:
    request = Request()
    (span,) = await request.ask(None, ratio=1)
    assert (span.parent, request.seen) == (None, span.context.traceparent)


@pytest.mark.parametrize(
    ("status", "shown", "error"), [(404, 404, ""), (503, 503, "503"), (None, 500, "500"), (0, 499, "")]
)
async def test_only_our_own_errors_are_errors(status: int | None, shown: int, error: str) -> None:
    (span,) = await Request(status).ask(SAMPLED)
    assert (span.attributes["http.response.status_code"], span.error) == (shown, error)


@pytest.mark.parametrize(("method", "name"), [("HEAD", "HEAD"), ("BREW", "OTHER")])
async def test_methods_are_named_as_they_are_counted(method: str, name: str) -> None:
    (span,) = await Request(200).ask(SAMPLED, method)
    assert span.name == f"{name} /v1/jobs/{{job_id}}"
    assert span.attributes["http.request.method"] == ("HEAD" if name == "HEAD" else "_OTHER")
