"""The outermost middleware where tracing is on: a span for each request that is sampled, which its job then descends from."""

from __future__ import annotations

from time import time_ns
from typing import Protocol

from api.http.asgi import AsgiApp, Scope
from api.http.edge import REQUEST_ID, TRACEPARENT, WAITED_S, EdgeMiddleware, RequestStats
from sluice.core.runtime.tracing import Span, Tracing
from sluice.core.slo import CACHED

TRACE = "sluice.trace"
"""Key of the scope: the context of the request's span, its parent, and when it began."""


class TracedStats(RequestStats, Protocol):
    """Where requests are counted, and some are named as examples."""

    def exemplify(self, method: str, route: str, seconds: float, trace_id: str) -> None:
        """Show the trace of a counted request beside its duration."""


class TracedEdge(EdgeMiddleware):
    """A class of its own, so that requests cost nothing more where tracing is off."""

    def __init__(self, app: AsgiApp, stats: TracedStats, access_log: bool, tracing: Tracing) -> None:
        super().__init__(app, stats, access_log)
        self._examples = stats
        self._tracing = tracing

    def _read_headers(self, scope: Scope) -> bytes:
        request_id = super()._read_headers(scope)
        begun = self._tracing.begin(scope[TRACEPARENT])
        if begun is not None:
            scope[TRACE] = (*begun, time_ns())
            scope[TRACEPARENT] = begun[0].traceparent
        return request_id

    def _record(self, scope: Scope, inner: Scope, status: int, seconds: float) -> tuple[str, str, int]:
        method, route, status = super()._record(scope, inner, status, seconds)
        counted = method, route, status = method, route.removesuffix(CACHED), status
        if TRACE in scope:
            self._export(scope, method, route, status, int(seconds * 1e9))
            counted_s = max(0.0, seconds - inner.get(WAITED_S, 0.0))
            self._examples.exemplify(method, route, counted_s, scope[TRACE][0].trace_id)
        return counted

    def _export(self, scope: Scope, method: str, route: str, status: int, lasted_ns: int) -> None:
        own, parent, start_ns = scope[TRACE]
        attributes: dict[str, str | int] = {
            "http.request.method": method if method != "OTHER" else "_OTHER",
            "http.route": route,
            "http.response.status_code": status,
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
            "sluice.request_id": scope[REQUEST_ID],
        }
        error = str(status) if status >= 500 else ""
        self._tracing.export(
            Span(
                f"{method} {route}",
                own,
                parent,
                start_ns,
                start_ns + lasted_ns,
                "server",
                attributes,
                (),
                error,
            )
        )
