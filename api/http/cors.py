"""Let the pages of other origins call the api, if a setting names them."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware

from api.http.asgi import AsgiApp

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
EXPOSED = (
    "Accept", "Accept-Encoding", "Age", "Allow", "Cache-Status", "ETag", "Idempotent-Replayed", "Location",
    "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After", "Server-Timing", "WWW-Authenticate",
    "X-Request-Id",
)  # fmt: skip
"""What scripts can read of an answer, besides what they always can."""
HOURS_S = 7_200
"""How long a browser may remember a preflight; browsers take no more."""


def allow_origins(app: AsgiApp, origins: tuple[str, ...]) -> AsgiApp:
    """Wrap an application so that pages of these origins may call it, in a private network as well. Keys are no cookies: any
    header may be sent.
    """
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=("*",),
        allow_private_network=True,
        expose_headers=EXPOSED,
        max_age=HOURS_S,
    )
