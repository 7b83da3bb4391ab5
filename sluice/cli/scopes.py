"""What the key permits: found by asking for something that each scope, and no other, opens."""

from __future__ import annotations

from sluice.cli.client_word import Session

_NOBODY = "/v1/jobs/00000000-0000-7000-8000-000000000000"
"""A job that is none, so that nothing comes of asking to cancel it."""
_PROBES = {
    "submit": ("POST", f"{_NOBODY}/cancel"),
    "read": ("GET", "/v1/kinds"),
    "payloads": ("GET", f"{_NOBODY}/result"),
    "admin": ("GET", "/v1/keys?page_size=1"),
    "operate": ("GET", "/v1/lanes"),
}


def find_scopes(session: Session) -> list[str]:
    """Return the scopes of the key, without changing anything. Raises Unauthorized, ApiError, ServerAway."""
    return [scope for scope, (method, path) in _PROBES.items() if _is_open(session, method, path)]


def _is_open(session: Session, method: str, path: str) -> bool:
    from sluice.client import Forbidden, JobExpired, NotFound

    try:
        session.ask(method, path)
    except Forbidden:
        return False
    except (NotFound, JobExpired):
        return True
    return True
