"""What a request asks for besides its path: who asks, how long to wait, what it has already, and the timing."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from hashlib import sha256

from starlette.requests import Request

from api.http.errors import BadHeader, Forbidden
from api.http.response import Header
from api.jobs.submit import IdempotencyKey
from api.keys.keyring import Identity, Keyring
from sluice.core.errors import Flaw, Invalid

SCOPES: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/jobs"): "submit",
    ("POST", "/v1/kinds/{kind}/jobs"): "submit",
    ("GET", "/v1/jobs"): "read",
    ("POST", "/v1/jobs/cancel"): "submit",
    ("POST", "/v1/jobs/retry"): "submit",
    ("GET", "/v1/errors"): "read",
    ("GET", "/v1/jobs/{job_id}"): "read",
    ("GET", "/v1/jobs/{job_id}/result"): "read",
    ("GET", "/v1/jobs/{job_id}/attempts"): "read",
    ("POST", "/v1/jobs/{job_id}/cancel"): "submit",
    ("POST", "/v1/jobs/{job_id}/retry"): "submit",
    ("DELETE", "/v1/jobs/{job_id}"): "submit",
    ("GET", "/v1/schedules"): "admin",
    ("POST", "/v1/schedules"): "admin",
    ("GET", "/v1/schedules/{name}"): "admin",
    ("PUT", "/v1/schedules/{name}"): "admin",
    ("DELETE", "/v1/schedules/{name}"): "admin",
    ("POST", "/v1/schedules/{name}/pause"): "admin",
    ("POST", "/v1/schedules/{name}/resume"): "admin",
    ("POST", "/v1/schedules/{name}/run"): "admin",
    ("GET", "/v1/kinds"): "read",
    ("GET", "/v1/kinds/{kind}"): "read",
}
"""The scope that each route needs, by method and template; both ways in decide by this table."""

OPEN = frozenset({"/", "/docs", "/docs/start.js", "/docs/assets", "/openapi.json"})
"""What everybody may see."""

_KEY = re.compile(rb'"([\x20\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254})')
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,3})?")
_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)


class WaitRequest:
    """How long a request wants to wait, and what to say of it."""

    __slots__ = ("applied", "seconds")

    def __init__(self, seconds: float, applied: list[Header]) -> None:
        self.seconds = seconds
        self.applied = applied


class ServerTiming:
    """Names the parts of a request's time for Server-Timing, where the client asked for it."""

    def __init__(self, request: Request) -> None:
        self._wanted = request.query_params.get("timing") == "1"
        self._started = self._last = time.perf_counter()
        self._parts: list[str] = []

    def lap(self, name: str) -> None:
        """The time since the last lap went into this."""
        now = time.perf_counter()
        self._parts.append(f"{name};dur={(now - self._last) * 1000:.2f}")
        self._last = now

    def headers(self) -> list[Header]:
        """The header, or nothing."""
        if not self._wanted:
            return []
        total = f"total;dur={(time.perf_counter() - self._started) * 1000:.2f}"
        return [(b"server-timing", ", ".join([*self._parts, total]).encode())]


async def authenticate(request: Request, keyring: Keyring) -> Identity:
    """Who asks, if they may. Raises Unauthorized, Forbidden, ServerAway."""
    identity = await keyring.check(_values(request, b"authorization"))
    require(identity, request.method, request.scope["route"].path)
    return identity


def require(identity: Identity, method: str, route: str) -> None:
    """Raises Forbidden where the key lacks the scope of this route."""
    scope = SCOPES[method, route]
    if scope not in identity.scopes:
        raise Forbidden(scope)


def read_wait(request: Request, cap_s: float) -> WaitRequest:
    """`?wait=` and `Prefer: wait=`. A wrong query is refused; a preference is never an error (RFC 7240 §2)."""
    text = request.query_params.get("wait")
    if text is not None:
        if not _SECONDS.fullmatch(text) or float(text) > cap_s:
            raise Invalid(
                [Flaw("?wait", "out-of-bounds", f"wait is a number of seconds from 0 to {cap_s:g}")]
            )
        return WaitRequest(float(text), [])
    for value in _values(request, b"prefer"):
        if match := _WAIT.search(value):
            seconds = min(float(match[1]), cap_s)
            return WaitRequest(seconds, [(b"preference-applied", b"wait=%d" % seconds)])
    return WaitRequest(0.0, [])


def read_idempotency_key(request: Request, raw: bytes) -> IdempotencyKey | None:
    """The Idempotency-Key, quoted or bare, with the hash of method, path and body. Raises BadHeader."""
    values = _values(request, b"idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise BadHeader("Send Idempotency-Key once.")
    match = _KEY.fullmatch(values[0])
    if match is None:
        raise BadHeader("Idempotency-Key is 1 to 255 visible ASCII characters, quoted or bare.")
    asked = f"{request.method} {request.scope['path']}\n".encode()
    return IdempotencyKey((match[1] or match[2]).decode(), sha256(asked + raw).digest())


def read_validators(request: Request) -> bytes:
    """If-None-Match, in however many headers it came; empty where there is none."""
    return b", ".join(_values(request, b"if-none-match"))


def _values(request: Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.scope["headers"] if key == name]
