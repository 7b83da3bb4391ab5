"""Check a request's API key, and the scope that each route needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.routing import BaseRoute

from api.http.errors import Forbidden
from api.http.prefix import peer_of
from api.http.request import header_values
from api.keys.keyring import Identity, Keyring
from sluice.errors import StartRefused

ROUTE_SCOPES: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/jobs"): "submit",
    ("POST", "/v1/kinds/{kind}/jobs"): "submit",
    ("GET", "/v1/jobs"): "read",
    ("POST", "/v1/jobs/poll"): "read",
    ("POST", "/v1/batches"): "submit",
    ("GET", "/v1/batches/{batch_id}"): "read",
    ("GET", "/v1/batches/{batch_id}/results"): "payloads",
    ("POST", "/v1/jobs/cancel"): "submit",
    ("POST", "/v1/jobs/retry"): "submit",
    ("GET", "/v1/bulk"): "admin",
    ("POST", "/v1/bulk"): "admin",
    ("GET", "/v1/bulk/{act_id}"): "admin",
    ("POST", "/v1/bulk/{act_id}/go"): "admin",
    ("POST", "/v1/bulk/{act_id}/abort"): "admin",
    ("GET", "/v1/errors"): "read",
    ("POST", "/v1/errors/{fingerprint}/resolve"): "admin",
    ("POST", "/v1/errors/{fingerprint}/ignore"): "admin",
    ("POST", "/v1/errors/{fingerprint}/reopen"): "admin",
    ("GET", "/v1/jobs/{job_id}"): "read",
    ("GET", "/v1/jobs/{job_id}/result"): "payloads",
    ("GET", "/v1/jobs/{job_id}/attempts"): "read",
    ("GET", "/v1/jobs/{job_id}/explain"): "read",
    ("GET", "/v1/jobs/{job_id}/logs"): "read",
    ("GET", "/v1/jobs/{job_id}/events"): "read",
    ("GET", "/v1/events"): "read",
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
    ("GET", "/v1/lanes"): "operate",
    ("POST", "/v1/lanes/{lane}/pause"): "operate",
    ("POST", "/v1/lanes/{lane}/resume"): "operate",
    ("GET", "/v1/consumers"): "operate",
    ("GET", "/v1/system"): "operate",
    ("GET", "/v1/audit"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("POST", "/v1/keys"): "admin",
    ("POST", "/v1/keys/{key_id}/rotate"): "admin",
    ("DELETE", "/v1/keys/{key_id}"): "admin",
    ("GET", "/v1/webhooks"): "admin",
    ("POST", "/v1/webhooks"): "admin",
    ("GET", "/v1/webhooks/{webhook_id}"): "admin",
    ("PUT", "/v1/webhooks/{webhook_id}"): "admin",
    ("DELETE", "/v1/webhooks/{webhook_id}"): "admin",
    ("POST", "/v1/webhooks/{webhook_id}/test"): "admin",
    ("POST", "/v1/webhooks/{webhook_id}/verify"): "admin",
    ("POST", "/v1/webhooks/{webhook_id}/rotate"): "admin",
    ("GET", "/v1/webhooks/{webhook_id}/tries"): "admin",
    ("POST", "/v1/webhooks/{webhook_id}/redeliver"): "admin",
    ("GET", "/v1/slo"): "read",
    ("GET", "/v1/kinds"): "read",
    ("GET", "/v1/kinds/{kind}"): "read",
}
"""The scope that each route needs, by method and template; the routes and the fast path decide by this table."""

OPEN_PATHS = frozenset({"/", "/docs", "/docs/start.js", "/docs/assets", "/openapi.json"})
"""What needs no key."""


def check_scopes(routes: Iterable[BaseRoute]) -> None:
    """Raise StartRefused if a route is neither open nor in the table: nobody could say who may use it."""
    for path, methods in ((getattr(each, "path", ""), getattr(each, "methods", None)) for each in routes):
        missing = [method for method in sorted(methods or {"GET"}) if (method, path) not in ROUTE_SCOPES]
        if missing and path not in OPEN_PATHS:
            raise StartRefused(
                f"{', '.join(missing)} {path} declares no scope: add it to ROUTE_SCOPES in api/http/auth.py"
            )


async def authenticate(request: Request, keyring: Keyring, for_s: float = 0.0) -> Identity:
    """Check the key of a request, which goes on for so long until it is checked again, and its scope.

    Raises Unauthorized, TooManyFailures, Forbidden, ServerAway.
    """
    identity = await keyring.check(header_values(request, b"authorization"), for_s, peer_of(request.scope))
    require(identity, request.method, request.scope["route"].path)
    return identity


def require(identity: Identity, method: str, route: str) -> None:
    """Raise Forbidden if the key lacks the scope of this route."""
    scope = ROUTE_SCOPES[method, route]
    if scope not in identity.scopes:
        raise Forbidden(scope)
