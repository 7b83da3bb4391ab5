"""The outermost middleware: request id, security headers, trace, statistics, access log, and an answer to every error.

It is on the path of the hottest requests, so it makes one closure per request and nothing else.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator
from itertools import count
from typing import Any, Protocol

from api.http.asgi import AsgiApp, AsgiMessage, Header, Receive, Scope, Send
from api.http.problems import problem
from api.http.rate_limits import CHARGED
from api.http.response import CLOSE, send_reply
from sluice.core.runtime.tracing import name_trace

REQUEST_ID = "sluice.request_id"
TRACEPARENT = "sluice.traceparent"
ROUTE = "sluice.route"
"""Keys of the scope. The first two are set here; the fast path, which answers without FastAPI, sets ROUTE to the template."""
WAITED_S = "sluice.waited"
"""Key of the scope: the seconds for which the request waited for its job, because its client has asked for it."""
HEAD = "sluice.head"
"""Key of the scope: the client asks for the head alone, so a stream has to end at once."""
REFUSED = "sluice.refused"
"""Key of the scope's state, which is the same for all middleware: the status with which the server cut a request off."""

SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
DOCS_SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        b" connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
)
UI_SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        b" form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"same-origin"),  # with no-referrer, browsers hide where a form comes from
)
TIMED = b"timing=1"
"""What asks for a header that says where the time went. Routes that know more than the total send it themselves."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
QUIET_S = 60.0
"""Seconds for which refused connections are not logged again."""
GONE = 499
"""The status that is counted where a client left before it was answered."""

_OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch
_TRACE = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_log = logging.getLogger("sluice.http")


class RequestStats(Protocol):
    """Where requests are counted."""

    in_flight: int
    unread: int
    refused_connections: Counter[str]

    def record(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""


class EdgeMiddleware:
    """Wraps the whole stack. `access_log` writes one line per request.

    Once `leaving` is set, every answer tells its client to open a new connection next time.
    """

    def __init__(self, app: AsgiApp, stats: RequestStats, access_log: bool = False) -> None:
        self._app = app
        self._stats = stats
        self._access_log = access_log
        self._ids = _request_ids()
        self._log_refused_from = 0.0
        self.leaving = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = self._read_headers(scope)
        security = SECURITY if scope["path"].startswith("/v1/") else _security_of_page(scope["path"])
        status = 0

        def answer(message: AsgiMessage) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *security, (b"x-request-id", request_id)]
                if (charged := inner.get(CHARGED)) is not None:
                    message["headers"] += charged.headers(status)
                message["headers"] += _timing(scope, message["headers"], started)
                if self.leaving and CLOSE not in message["headers"]:
                    message["headers"].append(CLOSE)
            return send(message)

        inner = dict(scope, method="GET") | {HEAD: True} if scope["method"] == "HEAD" else scope
        self._stats.in_flight += 1
        try:
            await self._app(inner, receive, answer)
        except Exception as error:  # noqa: BLE001  the last resort: the client must get an answer
            _log.exception("unforeseen", extra=_name_request(scope))
            if not status:
                await send_reply(problem(error, request_id.decode()), answer)
        finally:
            self._stats.in_flight -= 1
            self._record(scope, inner, status, time.perf_counter() - started)

    def record_refusal(self, status: int) -> None:
        """Count what the server has answered itself, as no request came of it: malformed, too large or too late."""
        self._stats.record("OTHER", UNMATCHED, status, 0.0)
        if self._access_log:
            self._log("OTHER", "", status, 0.0, {REQUEST_ID: "", TRACEPARENT: None})

    def record_unread(self) -> None:
        """Count a client that was cut off, as it did not read its answer. The answer itself is counted already."""
        self._stats.unread += 1
        _log.warning("a client reads too slowly, and was cut off")

    def record_refused_connection(self, why: str) -> None:
        """Count a connection that was one too many. It is logged once a minute, as whoever opens them does not stop soon."""
        self._stats.refused_connections[why] += 1
        if (now := time.monotonic()) >= self._log_refused_from:
            self._log_refused_from = now + QUIET_S
            _log.warning("connections are refused, as too many are open", extra={"of": why})

    def _read_headers(self, scope: Scope) -> bytes:
        """Put the request id and the trace into the scope if they are well-formed; return the request id."""
        request_id = trace = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = _OWN_ID(value)
            elif name == b"traceparent":
                trace = _TRACE(value)
        found: bytes = request_id[0] if request_id else next(self._ids)
        scope[REQUEST_ID] = found.decode()
        scope[TRACEPARENT] = trace[0].decode() if trace else None
        return found

    def _record(self, scope: Scope, inner: Scope, status: int, seconds: float) -> tuple[str, str, int]:
        """Count it; return the method, the route and the status as which it was counted."""
        route = str(inner.get(ROUTE) or getattr(inner.get("route"), "path", UNMATCHED))
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        status = scope.get("state", {}).get(REFUSED) or status or GONE
        self._stats.record(method, route, status, max(0.0, seconds - inner.get(WAITED_S, 0.0)))
        if self._access_log:
            self._log(method, scope["path"], status, seconds, scope)
        return method, route, status

    def _log(self, method: str, path: str, status: int, seconds: float, scope: Scope) -> None:
        fields = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 2)}
        _log.info("answered", extra=fields | _name_request(scope))


def _timing(scope: Scope, headers: Iterable[Header], started: float) -> list[Header]:
    """Say how long it took, if that is asked for and the route has not said it itself."""
    query = scope.get("query_string")
    asked = query and TIMED in query.split(b"&") and scope["path"].startswith("/v1/")
    if not asked or any(name == b"server-timing" for name, _ in headers):
        return []
    return [(b"server-timing", b"total;dur=%.2f" % ((time.perf_counter() - started) * 1000))]


def _security_of_page(path: str) -> tuple[Header, ...]:
    if path.startswith("/docs"):
        return DOCS_SECURITY
    return UI_SECURITY if path == "/ui" or path.startswith("/ui/") else SECURITY


def _name_request(scope: Scope) -> dict[str, str]:
    return {"request_id": scope[REQUEST_ID], **name_trace(scope[TRACEPARENT])}


def _request_ids() -> Iterator[bytes]:
    """Make ids that are unique across processes: a random prefix, then a counter."""
    head = os.urandom(6).hex().encode()
    return (b"%b-%x" % (head, number) for number in count(1))


def request_id_of(scope: Any) -> str:
    """Return the id of this request; empty if this middleware is missing (unit tests of what it wraps)."""
    return str(scope.get(REQUEST_ID, ""))
